# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Puts the Swift toolchain into PATH: sudo often takes it out.

find_swift() {
  local candidate home
  [[ -n $(type -P swift) ]] && return
  home=$(getent passwd "${SUDO_USER:-root}" | cut -d: -f6)
  for candidate in /opt/swift/usr/bin /usr/local/swift/usr/bin /opt/swift*/usr/bin "$home"/.local/share/swiftly/bin \
    "$home"/swift*/usr/bin; do
    if [[ -x $candidate/swift ]]; then
      PATH=$candidate:$PATH
      return
    fi
  done
  echo "no Swift toolchain in PATH: install one (swift.org), or run: sudo env PATH=\"\$PATH\" $0" >&2
  exit 1
}

find_swift
export PATH
