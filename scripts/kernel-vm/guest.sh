# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Runs a command on another kernel: Debian's cloud kernel in plain QEMU, without KVM, on this machine's own files. The
# guest reads them through virtiofs and writes to memory; it has no network but what the command makes.

# A root file system of the guest's own, absolute, in place of this machine's files: its systemd is process 1 and starts
# the command as guest.service. The guest sees this directory and guest_folders too, and cannot write there.
guest_root=
guest_folders=()

guest_fail() { echo "kernel-vm: $*" >&2; exit 1; }

# The newest of Debian's cloud kernels of a series, as a package name.
guest_newest_kernel() { # SERIES
  apt-cache pkgnames "linux-image-$1." 2>/dev/null |
    grep -E "^linux-image-${1//./\\.}\.[0-9].*cloud-amd64$" | grep -v -e dbg -e unsigned | sort -V | tail -n 1
}

# Unpacks a kernel package, without installing it; prints where. A package once unpacked needs no network again. It is
# whole when its modules have an index, which is the last thing made.
guest_kernel() { # SERIES CACHE
  local package folder lock
  # Two guests that are started at the same time need the same package lists and kernels.
  exec {lock}>"$2/lock"
  flock "$lock"
  package=$(guest_newest_kernel "$1")
  if [[ -z $package ]]; then
    apt-get update -qq -o Acquire::Retries=3
    package=$(guest_newest_kernel "$1")
  fi
  [[ -n $package ]] || guest_fail "there is no cloud kernel $1 among this machine's package sources"
  folder=$2/$package
  if ! compgen -G "$folder/lib/modules/*/modules.dep" >/dev/null; then
    echo "downloading $package" >&2
    rm -rf "$folder" "$folder.new"
    mkdir -p "$folder.new"
    (
      cd "$folder.new"
      apt-get download -qq -o APT::Sandbox::User=root -o Acquire::Retries=3 "$package" ||
        { apt-get update -qq && apt-get download -qq -o APT::Sandbox::User=root "$package"; }
      dpkg -x ./*.deb .
      rm -f ./*.deb
      find lib/modules -name '*.ko.xz' -exec xz -d {} +
      depmod -b . "$(ls lib/modules)"
    ) || guest_fail "cannot download and unpack $package"
    mv "$folder.new" "$folder"
  fi
  echo "$folder"
}

# What the guest does before the command: it mounts this machine's files, and over them a layer of memory. The working
# directory is kept at hand, because it may lie below a place that gets a file system of the guest's own. The kernel's
# own messages go to the second serial line, so that they do not tear the command's output on the first.
guest_init() { # KERNEL-FOLDER
  cat <<INIT
#!/bin/sh
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev
exec >/dev/ttyS0 2>&1
while read module; do [ -d /sys/module/\${module%.ko} ] || insmod /\$module; done </modules
mount -t virtiofs -o ro files /lower && mount -t tmpfs t /upper && mkdir /upper/data /upper/work &&
  mount -t overlay -o lowerdir=/lower$guest_root,upperdir=/upper/data,workdir=/upper/work o /all || poweroff -f
INIT
  if [[ -n $guest_root ]]; then guest_begin_systemd "$1"; else guest_begin_command "$1"; fi
}

guest_begin_command() { # KERNEL-FOLDER
  local here
  printf -v here %q "$PWD"
  cat <<INIT
mount -o bind /all$here /here; mount -o bind /all$1/lib/modules /modules.d
mount -t proc p /all/proc; mount -t sysfs s /all/sys; mount -t devtmpfs d /all/dev
mount -t bpf b /all/sys/fs/bpf
mount -t tmpfs -o mode=755 t /all/run; mkdir /all/run/lock /all/run/netns
mkdir -p /all$here; mount -o bind /here /all$here
mkdir -p /all/usr/lib/modules; mount -o bind /modules.d /all/usr/lib/modules
ip link set lo up
ln -s /proc/self/fd /all/dev/fd
cp /command /bin/busybox /all/run
exec switch_root /all /bin/bash /run/command
INIT
}

# The rest of the guest's file systems are systemd's to mount.
guest_begin_systemd() { # KERNEL-FOLDER
  local folder
  for folder in "$PWD" "${guest_folders[@]}"; do
    printf 'mkdir -p /all%q; mount -o bind /lower%q /all%q\n' "$folder" "$folder" "$folder"
  done
  cat <<INIT
mkdir -p /all/usr/lib/modules; mount -o bind /lower$1/lib/modules /all/usr/lib/modules
cp /command /bin/busybox /all/usr/local/lib
mkdir -p /all/etc/systemd/system/multi-user.target.wants
cat >/all/etc/systemd/system/guest.service <<UNIT
[Unit]
Description=The command that this guest is for
[Service]
Type=exec
ExecStart=/bin/bash /usr/local/lib/command
StandardOutput=tty
StandardError=inherit
TTYPath=/dev/ttyS0
UNIT
ln -s ../guest.service /all/etc/systemd/system/multi-user.target.wants/guest.service
exec switch_root /all /sbin/init
INIT
}

# What the guest's first process does then.
guest_command() { # COMMAND...
  echo 'export HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8'
  printf 'cd %q\n' "$PWD"
  printf '%q ' "$@"
  printf '</dev/null\necho "GUEST STATUS $?"\n"$(dirname "$0")"/busybox poweroff -f\n'
}

# The module files that a kernel needs to mount all the rest, in order; some kernels have some of them built in.
guest_modules() { # KERNEL-FOLDER
  local module
  for module in virtio_pci virtiofs overlay; do
    modprobe --dirname "$1" --set-version "$(ls "$1/lib/modules")" --show-depends "$module" |
      sed -n 's/^insmod //p' || return 1
  done
}

guest_initramfs() { # KERNEL-FOLDER TREE COMMAND...; writes TREE.gz
  local folder=$1 tree=$2 module applet
  shift 2
  mkdir -p "$tree"/{bin,proc,sys,dev,lower,upper,all,here,modules.d}
  install /bin/busybox "$tree/bin/busybox"
  for applet in sh mount mkdir insmod poweroff cp ln cat ip switch_root; do ln -s busybox "$tree/bin/$applet"; done
  guest_modules "$folder" >"$tree.modules" || guest_fail "the kernel in $folder lacks a module that its guest needs"
  while read -r module; do
    cp "$module" "$tree"
    basename "$module" >>"$tree/modules"
  done <"$tree.modules"
  guest_init "$folder" >"$tree/init"
  chmod +x "$tree/init"
  guest_command "$@" >"$tree/command"
  (cd "$tree" && find . | cpio -o -H newc --quiet | gzip -1 >"$tree.gz")
}

# Runs the command in this directory, as root, on another kernel; with the command's output and exit status.
guest_run() ( # SERIES CACHE SECONDS COMMAND...
  local series=$1 store=$2 seconds=$3 folder work status
  shift 3
  mkdir -p "$store"
  store=$(readlink -f "$store")
  folder=$(guest_kernel "$series" "$store") || exit 1
  work=$(mktemp -d "$store/run.XXXXXX")
  trap 'guest_end "$work"' EXIT
  trap 'exit 130' INT TERM
  guest_initramfs "$folder" "$work/tree" "$@"
  /usr/lib/qemu/virtiofsd --socket-path="$work/files" --rlimit-nofile=0 -o source=/ -o sandbox=chroot \
    -o cache=always >"$work/files.log" 2>&1 &
  echo $! >"$work/files.pid"
  until [[ -S $work/files ]]; do
    kill -0 "$(<"$work/files.pid")" 2>/dev/null || { cat "$work/files.log" >&2; guest_fail "virtiofsd does not start"; }
    sleep 0.05
  done
  # Its mitigations stay on: without them a kernel may let programs pass that it refuses otherwise.
  timeout "$seconds" qemu-system-x86_64 -accel tcg -cpu max -m 3072 -smp 2 -nodefaults -no-user-config \
    -display none -serial stdio -serial file:"$work/console" -no-reboot -net none -pidfile "$work/qemu.pid" \
    -object memory-backend-memfd,id=memory,size=3072M,share=on -numa node,memdev=memory \
    -chardev socket,id=files,path="$work/files" -device vhost-user-fs-pci,chardev=files,tag=files \
    -kernel "$folder"/boot/vmlinuz-* -initrd "$work/tree.gz" \
    -append "console=ttyS1 panic=-1 rdinit=/init tsc=reliable no_timer_check random.trust_cpu=on" </dev/null 2>&1 |
    sed -u -e 's/\r//g' | tee "$work/output" | sed -u '/^GUEST STATUS /d' &
  # Waited for, so that a signal ends it at once.
  wait $! || true
  status=$(sed -n 's/^GUEST STATUS //p' "$work/output")
  if [[ -z $status ]]; then
    echo "kernel-vm: the guest $series did not finish (limit $seconds s); the end of its console:"
    tail -n 30 "$work/console" | sed -e 's/\r//g' -e 's/^/       /'
    status=124
  fi >&2
  exit "$status"
)

guest_end() { # FOLDER-OF-THE-RUN
  local file
  for file in "$1"/qemu.pid "$1"/files.pid; do
    [[ ! -s $file ]] || kill "$(<"$file")" 2>/dev/null || true
  done
  rm -rf "$1"
}
