// SPDX-License-Identifier: Apache-2.0

/// The configuration's keys for editors and programs: a JSON Schema (2020-12). It knows single values; what must fit
/// together is found by ``ConfigurationLoader`` only. A test compares its keys with those that the loader takes.
public let configurationSchema = #"""
  {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Sluice configuration",
    "type": "object",
    "additionalProperties": false,
    "required": ["version", "interfaces"],
    "oneOf": [{"required": ["hash_seed"]}, {"required": ["hash_seed_file"]}],
    "properties": {
      "version": {"enum": [1, "1"]},
      "node": {
        "type": "object",
        "additionalProperties": false,
        "properties": {"name": {"$ref": "#/$defs/name"}}
      },
      "interfaces": {
        "type": "array",
        "minItems": 1,
        "maxItems": 1,
        "items": {
          "type": "object",
          "additionalProperties": false,
          "required": ["name"],
          "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 15},
            "mode": {"enum": ["auto", "native", "generic"], "default": "auto"},
            "next_hop": {
              "type": "string", "default": "auto", "description": "auto, an IP address, or a link-layer address."
            }
          }
        }
      },
      "hash_seed": {
        "type": "string", "minLength": 16, "description": "Secret; the same on every balancer of a fleet."
      },
      "hash_seed_file": {"$ref": "#/$defs/path"},
      "defaults": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
          "encapsulation": {"$ref": "#/$defs/encapsulation"},
          "hash": {"$ref": "#/$defs/hash"},
          "table_size": {"$ref": "#/$defs/table_size"},
          "settle": {"$ref": "#/$defs/settle"},
          "drain": {"$ref": "#/$defs/drain"},
          "require": {"$ref": "#/$defs/require"},
          "check": {"$ref": "#/$defs/check"},
          "hysteresis": {"$ref": "#/$defs/hysteresis"},
          "on_insufficient": {"$ref": "#/$defs/on_insufficient"},
          "guard": {"$ref": "#/$defs/guard"},
          "affinity": {"$ref": "#/$defs/affinity"}
        }
      },
      "pools": {
        "type": ["object", "null"],
        "propertyNames": {"$ref": "#/$defs/name"},
        "additionalProperties": {"$ref": "#/$defs/pool"}
      },
      "services": {"type": ["array", "null"], "items": {"$ref": "#/$defs/service"}},
      "packets": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
          "unserved": {
            "enum": ["reject", "drop", "pass"], "default": "reject",
            "description": "What a packet to a VIP gets whose port or protocol no service has."
          },
          "vip_sources": {
            "enum": ["drop", "accept"], "default": "drop",
            "description": "What a packet to a VIP gets whose source address is a VIP."
          }
        }
      },
      "limits": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
          "services": {"type": "integer", "minimum": 1, "maximum": 65536, "default": 1024},
          "pools": {"type": "integer", "minimum": 1, "maximum": 65536, "default": 256},
          "backends": {"type": "integer", "minimum": 1, "maximum": 262143, "default": 4096},
          "slots": {"type": "integer", "minimum": 502, "maximum": 268435456, "default": 4194304},
          "flows": {"type": "integer", "minimum": 1024, "maximum": 134217728, "default": 1000000},
          "pairs": {"type": "integer", "minimum": 1, "maximum": 16777216, "default": 65536}
        }
      },
      "control": {
        "type": "object",
        "additionalProperties": false,
        "properties": {"socket": {"$ref": "#/$defs/path"}, "group": {"type": "string"}}
      },
      "status": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
          "socket": {"$ref": "#/$defs/path"}, "group": {"type": "string"},
          "listen": {"type": "string", "default": "", "description": "ADDRESS:PORT or [ADDRESS]:PORT; empty: off."}
        }
      },
      "paths": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
          "pins": {"type": "string", "pattern": "^/sys/fs/bpf/"}, "state": {"$ref": "#/$defs/path"}
        }
      }
    },
    "$defs": {
      "name": {"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,62}$"},
      "path": {"type": "string", "pattern": "^/"},
      "duration": {"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"},
      "hash": {
        "enum": ["flow", "source"], "default": "flow", "description": "What of a packet selects its backend."
      },
      "table_size": {
        "type": "integer", "minimum": 251, "maximum": 1048573, "default": 65537,
        "description": "Slots of the forwarding table, a prime. A change breaks connections."
      },
      "settle": {
        "$ref": "#/$defs/duration", "default": "2h",
        "description": "How long after a change the flows of its slots are remembered one by one: 10s to 168h."
      },
      "drain": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
          "timeout": {
            "$ref": "#/$defs/duration", "default": "2h",
            "description": "How long a backend that left the configuration is kept for its flows."
          },
          "quiet": {
            "$ref": "#/$defs/duration", "default": "60s",
            "description": "A drain ends when no flow is left and none was newly seen for so long."
          }
        }
      },
      "require": {
        "anyOf": [
          {"type": "integer", "minimum": 0, "maximum": 65536},
          {"type": "string", "pattern": "^([0-9]{1,5}|[0-9]{1,2}%|100%)$"}
        ],
        "default": 0,
        "description": "Backends that are to take new flows: a number, or a share of all such as 50%."
      },
  \#(healthDefinitions)
      "encapsulation": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
          "type": {"enum": ["ipip"], "default": "ipip"},
          "source4": {"type": "string", "default": "auto", "description": "auto, or an IPv4 prefix from /8."},
          "source6": {"type": "string", "default": "auto", "description": "auto, or an IPv6 prefix from /8."}
        }
      },
      "affinity": {
        "type": "object",
        "additionalProperties": false,
        "properties": {
          "mode": {"enum": ["changes", "all", "none"], "default": "changes"},
          "learn": {
            "$ref": "#/$defs/duration",
            "description": "How long after a change an unknown TCP flow is older than it; default: the pool's settle."
          },
          "tcp_idle": {"$ref": "#/$defs/duration", "default": "2h"},
          "udp_idle": {"$ref": "#/$defs/duration", "default": "60s"},
          "on_gone": {
            "enum": ["rehash", "reset"], "default": "rehash",
            "description": "What a TCP flow gets whose backend is gone: another one, or a RST."
          }
        }
      },
      "pool": {
        "type": ["object", "null"],
        "additionalProperties": false,
        "properties": {
          "hash": {"$ref": "#/$defs/hash"},
          "table_size": {"$ref": "#/$defs/table_size"},
          "settle": {"$ref": "#/$defs/settle"},
          "drain": {"$ref": "#/$defs/drain"},
          "require": {"$ref": "#/$defs/require"},
          "check": {"$ref": "#/$defs/check"},
          "hysteresis": {"$ref": "#/$defs/hysteresis"},
          "on_insufficient": {"$ref": "#/$defs/on_insufficient"},
          "guard": {"$ref": "#/$defs/guard"},
          "encapsulation": {"$ref": "#/$defs/encapsulation"},
          "backends": {
            "type": ["array", "null"],
            "items": {
              "type": "object",
              "additionalProperties": false,
              "required": ["name", "address"],
              "properties": {
                "name": {"$ref": "#/$defs/name"},
                "address": {"type": "string"},
                "weight": {"type": "integer", "minimum": 0, "maximum": 65535, "default": 100},
                "state": {"enum": ["ready", "drain", "maint"], "default": "ready"}
              }
            }
          }
        }
      },
      "service": {
        "type": "object",
        "additionalProperties": false,
        "required": ["name", "vips", "ports", "pool"],
        "properties": {
          "name": {"$ref": "#/$defs/name"},
          "vips": {"type": "array", "minItems": 1, "items": {"type": "string"}},
          "ports": {
            "type": "array", "minItems": 1,
            "items": {"type": "string", "pattern": "^([0-9]+(-[0-9]+)?|any)/(tcp|udp)$"}
          },
          "pool": {"$ref": "#/$defs/name"},
          "affinity": {"$ref": "#/$defs/affinity"}
        }
      }
    }
  }
  """#
