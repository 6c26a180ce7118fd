// SPDX-License-Identifier: Apache-2.0

/// What the schema says of the health of pools: a part of `$defs`.
let healthDefinitions = #"""
      "hysteresis": {
        "type": "integer", "minimum": 0, "maximum": 65536, "default": 0,
        "description": "So many healthy backends more than required make a pool sufficient that was not."
      },
      "on_insufficient": {
        "enum": ["withdraw", "keep", "all"], "default": "withdraw",
        "description": "With fewer healthy backends than required: only those, those in use before, or all."
      },
      "guard": {
        "type": "object",
        "additionalProperties": false,
        "description": "How much health alone may take out of use.",
        "properties": {
          "share": {
            "type": "string", "pattern": "^([1-9][0-9]?|100)%$", "default": "50%",
            "description": "Of the pool's backends, rounded up."
          },
          "interval": {"$ref": "#/$defs/duration", "default": "60s", "description": "1s to 24h."}
        }
      },
      "octets": {"type": "string", "pattern": "^([0-9A-Fa-f]{2}){1,1200}$"},
      "statuses": {"type": ["string", "integer"], "pattern": "^[1-5][0-9]{2}(-[1-5][0-9]{2})?$"},
      "check": {
        "type": ["object", "null"],
        "additionalProperties": false,
        "description": "How it is found out whether backends answer. Left out: what defaults.check says.",
        "properties": {
          "type": {
            "enum": ["tcp", "http", "https", "dns", "udp", "icmp", "none"],
            "description": "What is asked. Needed unless defaults.check says it."
          },
          "via": {
            "enum": ["tunnel", "direct"], "default": "tunnel",
            "description": "To the VIP as clients' packets go, or to the backend's own address."
          },
          "vips": {
            "type": "array", "minItems": 1, "uniqueItems": true, "items": {"type": "string"},
            "description": "Where to probe; default: all VIPs of the pool's services."
          },
          "port": {
            "type": "integer", "minimum": 1, "maximum": 65535,
            "description": "Default: that of the pool's first service at the VIP with the probe's transport."
          },
          "interval": {
            "$ref": "#/$defs/duration", "default": "2s",
            "description": "From the beginning of a probe to that of the next, 100ms to 1h."
          },
          "timeout": {
            "$ref": "#/$defs/duration", "default": "1s",
            "description": "From the beginning of a probe to its last octet, 10ms to 60s."
          },
          "rise": {
            "type": "integer", "minimum": 1, "maximum": 100, "default": 2,
            "description": "So many probes in a row must pass for a backend that is down to be up."
          },
          "fall": {
            "type": "integer", "minimum": 1, "maximum": 100, "default": 3,
            "description": "So many probes in a row must fail for a backend that is up to be down."
          },
          "fast_interval": {
            "$ref": "#/$defs/duration",
            "description": "The interval while a change is pending; default: interval, and not longer than that."
          },
          "jitter": {
            "type": "string", "pattern": "^([0-9]|[1-8][0-9]|90)%$", "default": "20%",
            "description": "By how much an interval may be shorter."
          },
          "on_start": {
            "enum": ["up", "down"], "default": "down",
            "description": "What a backend is taken for that was never seen before."
          },
          "full_size": {
            "type": "boolean", "default": false,
            "description": "http, https, icmp: a packet of each probe is as large as the tunnel carries."
          },
          "damping": {
            "type": "object",
            "additionalProperties": false,
            "description": "How long a backend that keeps going down and up is held down.",
            "properties": {
              "hold": {
                "$ref": "#/$defs/duration", "default": "10s",
                "description": "At the second time, doubling with each further one; 0s: never."
              },
              "limit": {"$ref": "#/$defs/duration", "default": "5m", "description": "The longest hold."},
              "memory": {
                "$ref": "#/$defs/duration", "default": "10m",
                "description": "So long after it last went down a backend counts as never having done so."
              }
            }
          },
          "method": {"enum": ["GET", "HEAD"], "default": "GET", "description": "http, https: of the request."},
          "path": {
            "type": "string", "pattern": "^/[!\"$-~]*$", "maxLength": 2048, "default": "/",
            "description": "http, https: path and query of the request."
          },
          "host": {
            "type": "string", "description": "http, https: the Host header and the name for TLS; default: the VIP."
          },
          "expect": {
            "anyOf": [
              {"enum": ["NOERROR", "NXDOMAIN", "REFUSED", "SERVFAIL"]},
              {"$ref": "#/$defs/statuses"},
              {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/statuses"}}
            ],
            "description": "What passes. http, https: statuses, default 200-299; dns: a code, default NOERROR."
          },
          "body": {
            "type": "string", "minLength": 1, "maxLength": 4096,
            "description": "http, https: text within the first 64 KiB of the body."
          },
          "tls_verify": {
            "type": "boolean", "default": true, "description": "https: the certificate must be valid for the host."
          },
          "tls_ca": {
            "$ref": "#/$defs/path", "description": "https: PEM file of authorities; default: the system's."
          },
          "query": {"type": "string", "description": "dns: the name that is asked for; required."},
          "qtype": {
            "enum": ["A", "AAAA", "CNAME", "MX", "NS", "SOA", "TXT"], "default": "A", "description": "dns: the type of record."
          },
          "transport": {"enum": ["udp", "tcp"], "default": "udp", "description": "dns: what carries it."},
          "answer": {"type": "string", "description": "dns: an address that a record of the answer must hold."},
          "send": {
            "type": "string", "minLength": 1, "maxLength": 1200,
            "description": "udp: the datagram as text; this or send_hex is required."
          },
          "send_hex": {"$ref": "#/$defs/octets", "description": "udp: the datagram in hexadecimal digits."},
          "reply": {
            "type": "string", "minLength": 1, "maxLength": 1200,
            "description": "udp: text that the reply must hold; default: any reply passes."
          },
          "reply_hex": {"$ref": "#/$defs/octets", "description": "udp: octets that the reply must hold."}
        }
      },
  """#
