# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Puts the Swift toolchain into PATH: sudo often takes it out.

find_swift() {
  local candidate home
  [[ -z $(type -P swift) ]] || return 0
  home=$(getent passwd "${SUDO_USER:-root}" | cut -d: -f6)
  for candidate in /opt/swift/usr/bin /opt/swift*/usr/bin /usr/local/swift*/usr/bin /usr/libexec/swift/bin \
    "$home"/.local/share/swiftly/bin "$home"/swift*/usr/bin; do
    if [[ -x $candidate/swift ]]; then
      PATH=$candidate:$PATH
      return
    fi
  done
  # Its user's own PATH, which sudo replaced.
  if [[ -n ${SUDO_USER:-} ]]; then
    candidate=$(runuser --login "$SUDO_USER" --command 'command -v swift' 2>/dev/null | tail -n 1 || true)
    if [[ -x $candidate ]]; then
      PATH=${candidate%/*}:$PATH
      return
    fi
  fi
  cat >&2 <<CURE
There is no Swift toolchain in PATH, nor in /opt/swift, /usr/local/swift or $home.
  If there is one elsewhere:  sudo env PATH="\$PATH" $0
  Else install Swift 6.3 for Debian 12:  https://www.swift.org/install/linux/
CURE
  exit 1
}

# The toolchain's own clang: beside swift, or beside what swift is a link to.
toolchain_clang() {
  local folder
  for folder in "$(dirname "$(type -P swift)")" "$(dirname "$(readlink -f "$(type -P swift)")")"; do
    if [[ -x $folder/clang ]]; then
      echo "$folder/clang"
      return
    fi
  done
  echo "the Swift toolchain of $(type -P swift) has no clang" >&2
  return 1
}

find_swift
export PATH
