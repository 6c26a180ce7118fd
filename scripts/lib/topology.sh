# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The lab's topology, in namespaces of its own: every host is joined to the router by a veth.
#
#   client ------ router ------ balancer        one-armed, as in production
#    10.0.1.2        |           10.0.2.2
#                    +---- b1 10.0.11.2, b2 10.0.12.2, b3 10.0.13.2
#
# There can be more backends, b4 10.0.14.2 and so on, and a second balancer behind the same router, balancer2 10.0.3.2.
# IPv6 is alike: fd00:0:0:1::2, fd00:0:0:2::2, fd00:0:0:11::2 and so on; the router is .1 and ::1 on each leg. It
# routes the VIPs, 10.100.0.0/24 and fd00:100::/64, to the balancer. A host's end of its leg is called eth0, the
# router's end has the host's name. No interface exists outside of these namespaces.
#
# Every function takes the lab's name first; many labs can stand side by side.

TOPOLOGY_BALANCERS=(balancer)
TOPOLOGY_BACKENDS=(b1 b2 b3)
# shellcheck disable=SC2034 # for those who source this file
TOPOLOGY_VIPS=10.100.0.1,fd00:100::1,10.100.0.2,fd00:100::2
# Where the balancers' outer sources come from: their own legs, and the prefixes that carry a flow's entropy.
# shellcheck disable=SC2034
TOPOLOGY_BALANCER_SOURCES=10.0.2.0/24,10.0.3.0/24,172.16.0.0/16,fd00:0:0:2::/64,fd00:0:0:3::/64,fd00:172::/64

# The host's leg: third octet of its IPv4 network, fourth group of its IPv6 network.
topology_leg() {
  case $1 in
    client) echo 1 ;;
    balancer) echo 2 ;;
    balancer2) echo 3 ;;
    b[1-9]) echo $((10 + ${1#b})) ;;
    *) echo "topology: there is no host '$1'; hosts are: client router balancer balancer2 b1 to b9" >&2; return 64 ;;
  esac
}

# The hosts that the lab is to have, beside client and router.
topology_choose() { # BACKENDS BALANCERS
  local number
  TOPOLOGY_BACKENDS=() TOPOLOGY_BALANCERS=(balancer)
  for ((number = 1; number <= $1; number++)); do TOPOLOGY_BACKENDS+=("b$number"); done
  for ((number = 2; number <= $2; number++)); do TOPOLOGY_BALANCERS+=("balancer$number"); done
}

# The hosts that the lab has.
topology_hosts() { # NAME
  local path
  for path in "/run/netns/$(topology_namespace "$1" '')"*; do
    if [[ -e $path ]]; then echo "${path##*-}"; fi
  done
}

topology_namespace() { echo "sl-$1-$2"; }

topology_exists() { [[ -e /run/netns/$(topology_namespace "$1" router) ]]; }

# topology_inside NAME HOST COMMAND...: the command in the host's network. Unlike `ip netns exec`, keeps /sys/fs/bpf.
topology_inside() {
  local namespace
  namespace=$(topology_namespace "$1" "$2")
  shift 2
  nsenter --net="/run/netns/$namespace" "$@"
}

topology_processes() { # NAME: pids of all that runs in the lab's networks
  local host
  for host in $(topology_hosts "$1"); do
    ip netns pids "$(topology_namespace "$1" "$host")" 2>/dev/null || true
  done
}

topology_up() { # NAME FABRIC-MTU
  local name=$1 mtu=$2 host
  for host in router client "${TOPOLOGY_BALANCERS[@]}" "${TOPOLOGY_BACKENDS[@]}"; do
    topology_add_namespace "$name" "$host"
  done
  topology_inside "$name" router sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
  topology_add_leg "$name" client 1500
  for host in "${TOPOLOGY_BALANCERS[@]}" "${TOPOLOGY_BACKENDS[@]}"; do
    topology_add_leg "$name" "$host" "$mtu"
  done
  topology_inside "$name" router ip route add 10.100.0.0/24 via 10.0.2.2
  topology_inside "$name" router ip route add fd00:100::/64 via fd00:0:0:2::2
}

topology_add_namespace() { # NAME HOST
  ip netns add "$(topology_namespace "$1" "$2")"
  topology_inside "$1" "$2" ip link set lo up
  topology_inside "$1" "$2" sysctl -qw \
    net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
    net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.default.accept_ra=0
}

topology_add_leg() { # NAME HOST MTU
  local name=$1 host=$2 mtu=$3 leg
  leg=$(topology_leg "$host")
  ip link add eth0 netns "$(topology_namespace "$name" "$host")" mtu "$mtu" type veth \
    peer name "$host" netns "$(topology_namespace "$name" router)" mtu "$mtu"
  topology_configure_end "$name" router "$host" "10.0.$leg.1/24" "fd00:0:0:$leg::1/64"
  topology_configure_end "$name" "$host" eth0 "10.0.$leg.2/24" "fd00:0:0:$leg::2/64"
  topology_inside "$name" "$host" ip route add default via "10.0.$leg.1"
  topology_inside "$name" "$host" ip route add default via "fd00:0:0:$leg::1"
}

# Checksums are written by the sender: what XDP_TX sends on is not finished by any later device.
topology_configure_end() { # NAME HOST INTERFACE ADDRESS4 ADDRESS6
  topology_inside "$1" "$2" ethtool -K "$3" tx off >/dev/null
  topology_inside "$1" "$2" ip address add "$4" dev "$3"
  topology_inside "$1" "$2" ip address add "$5" dev "$3" nodad
  topology_inside "$1" "$2" ip link set "$3" up
}

# Ends every process in the lab's networks, whoever started it there: a namespace lives as long as one of them.
topology_down() { # NAME
  local name=$1 host namespace pids
  mapfile -t pids < <(topology_processes "$name")
  if ((${#pids[@]})); then
    kill "${pids[@]}" 2>/dev/null || true
    topology_await_end "$name" 3 || {
      mapfile -t pids < <(topology_processes "$name")
      kill -KILL "${pids[@]}" 2>/dev/null || true
      topology_await_end "$name" 3 || echo "topology: processes remain: $(topology_processes "$name" | xargs)" >&2
    }
  fi
  for host in $(topology_hosts "$name"); do
    namespace=$(topology_namespace "$name" "$host")
    # The interfaces first: the kernel takes its time with a namespace's remains, but this is done at once.
    if [[ -e /run/netns/$namespace ]]; then
      topology_inside "$name" "$host" ip link delete eth0 2>/dev/null || true
      ip netns delete "$namespace"
    fi
  done
}

topology_await_end() { # NAME SECONDS
  local deadline=$((SECONDS + $2))
  while [[ -n $(topology_processes "$1") ]]; do
    ((SECONDS < deadline)) || return 1
    sleep 0.05
  done
}
