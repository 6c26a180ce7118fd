// SPDX-License-Identifier: Apache-2.0
internal import LoadBalancing

/// `GET /v1/openapi.json`: the control API for programs. A test compares it with the routes.
enum OpenAPI {
  private static let weight =
    #"{"type": "integer", "minimum": \#(BackendOverride.weights.lowerBound), "#
    + #""maximum": \#(BackendOverride.weights.upperBound)}"#

  private static let checkTypes = ProbeType.allCases.map { #""\#($0.rawValue)""# }.joined(separator: ", ")

  static let document = #"""
    {
      "openapi": "3.1.0",
      "info": {
        "title": "Sluice control API",
        "version": "1.0",
        "description": "HTTP/1.1 and JSON on Unix sockets. GET changes nothing."
      },
      "paths": {
        "/": {
          "get": {
            "summary": "Versions of the API and of the daemon.",
            "responses": {
              "200": {"$ref": "#/components/responses/Root"},
              "default": {"$ref": "#/components/responses/error"}
            }
          }
        },
        "/v1": {
          "get": {
            "summary": "The paths of this socket.",
            "responses": {
              "200": {"$ref": "#/components/responses/Index"},
              "default": {"$ref": "#/components/responses/error"}
            }
          }
        },
        "/v1/openapi.json": {
          "get": {
            "summary": "This document.",
            "responses": {
              "200": {"$ref": "#/components/responses/Document"},
              "default": {"$ref": "#/components/responses/error"}
            }
          }
        },
        "/v1/status": {
          "get": {
            "summary": "State of the daemon: attachment, configuration, verdicts, pools, alarms.",
            "responses": {
              "200": {"$ref": "#/components/responses/Status"},
              "default": {"$ref": "#/components/responses/error"}
            }
          }
        },
        "/metrics": {
          "get": {
            "summary": "All metrics in the Prometheus text format.",
            "responses": {
              "200": {"$ref": "#/components/responses/Metrics"},
              "default": {"$ref": "#/components/responses/error"}
            }
          }
        },
        "/v1/services": {
          "get": {
            "summary": "Virtual services, a row for each address and port.",
            "responses": {
              "200": {"$ref": "#/components/responses/ServiceList"},
              "default": {"$ref": "#/components/responses/error"}
            }
          }
        },
        "/v1/services/{service}": {
          "parameters": [{"name": "service", "in": "path", "required": true, "schema": {"type": "string"}}],
          "get": {
            "summary": "The rows of one name.",
            "responses": {
              "200": {"$ref": "#/components/responses/ServiceList"},
              "default": {"$ref": "#/components/responses/error"}
            }
          }
        },
        "/v1/pools": {
          "get": {
            "summary": "Pools and their forwarding tables.",
            "responses": {
              "200": {"$ref": "#/components/responses/PoolList"},
              "default": {"$ref": "#/components/responses/error"}
            }
          }
        },
        "/v1/backends": {
          "get": {
            "summary": "The backends of all pools.",
            "responses": {
              "200": {"$ref": "#/components/responses/BackendList"},
              "default": {"$ref": "#/components/responses/error"}
            }
          }
        },
        "/v1/pools/{pool}/backends": {
          "parameters": [{"name": "pool", "in": "path", "required": true, "schema": {"type": "string"}}],
          "get": {
            "summary": "The backends of one pool.",
            "responses": {
              "200": {"$ref": "#/components/responses/BackendList"},
              "default": {"$ref": "#/components/responses/error"}
            }
          }
        },
        "/v1/pools/{pool}/backends/{backend}": {
          "parameters": [
            {"name": "pool", "in": "path", "required": true, "schema": {"type": "string"}},
            {"name": "backend", "in": "path", "required": true, "schema": {"type": "string"}}
          ],
          "get": {
            "summary": "One backend.",
            "responses": {
              "200": {"$ref": "#/components/responses/Backend"},
              "default": {"$ref": "#/components/responses/error"}
            }
          },
          "post": {
            "summary": "Add a backend.",
            "responses": {
              "200": {"$ref": "#/components/responses/ChangeReply"},
              "default": {"$ref": "#/components/responses/error"}
            },
            "parameters": [
              {"$ref": "#/components/parameters/require_saved"},
              {"$ref": "#/components/parameters/dry_run"}, {"$ref": "#/components/parameters/if_match"}
            ],
            "requestBody": {
              "required": true,
              "content": {"application/json": {"schema": {"$ref": "#/components/schemas/BackendAddition"}}}
            }
          },
          "patch": {
            "summary": "Change weight or state.",
            "responses": {
              "200": {"$ref": "#/components/responses/ChangeReply"},
              "default": {"$ref": "#/components/responses/error"}
            },
            "parameters": [
              {"$ref": "#/components/parameters/require_saved"},
              {"$ref": "#/components/parameters/dry_run"}, {"$ref": "#/components/parameters/force"},
              {"$ref": "#/components/parameters/if_match"}
            ],
            "requestBody": {
              "required": true,
              "content": {"application/json": {"schema": {"$ref": "#/components/schemas/BackendChange"}}}
            }
          },
          "delete": {
            "summary": "Remove a backend. Refused while it may have flows, unless force=1 cuts them off.",
            "responses": {
              "200": {"$ref": "#/components/responses/ChangeReply"},
              "default": {"$ref": "#/components/responses/error"}
            },
            "parameters": [
              {"$ref": "#/components/parameters/require_saved"},
              {"$ref": "#/components/parameters/dry_run"}, {"$ref": "#/components/parameters/force"},
              {"$ref": "#/components/parameters/if_match"},
              {"name": "reason", "in": "query", "schema": {"type": "string"}}
            ]
          }
        },
        "/v1/pools/{pool}/backends/{backend}/check": {
          "parameters": [
            {"name": "pool", "in": "path", "required": true, "schema": {"type": "string"}},
            {"name": "backend", "in": "path", "required": true, "schema": {"type": "string"}}
          ],
          "post": {
            "summary": "Probe the backend now, and name the layer that fails. Changes nothing.",
            "responses": {
              "200": {"$ref": "#/components/responses/CheckReport"},
              "default": {"$ref": "#/components/responses/error"}
            },
            "parameters": [
              {
                "name": "target", "in": "query", "schema": {"type": "string"},
                "description": "The VIP to probe. Default: that of the worst target, in the order down, going_up, going_down, up, then by address."
              }
            ]
          }
        },
        "/v1/checks": {
          "get": {
            "summary": "Every target (a checked backend at a VIP), with its latest probe.",
            "responses": {
              "200": {"$ref": "#/components/responses/Checks"},
              "default": {"$ref": "#/components/responses/error"}
            },
            "parameters": [
              {"name": "pool", "in": "query", "schema": {"type": "string"}, "description": "Only targets of this pool."},
              {"name": "backend", "in": "query", "schema": {"type": "string"}, "description": "Only targets of this backend."}
            ]
          }
        },
        "/v1/pools/{pool}/backends/{backend}/drain": {
          "parameters": [
            {"name": "pool", "in": "path", "required": true, "schema": {"type": "string"}},
            {"name": "backend", "in": "path", "required": true, "schema": {"type": "string"}}
          ],
          "get": {
            "summary": "Progress of the drain. Counts the flows again, once a second at most.",
            "responses": {
              "200": {"$ref": "#/components/responses/DrainStatus"},
              "default": {"$ref": "#/components/responses/error"}
            },
            "parameters": [
              {
                "name": "quiet", "in": "query", "schema": {"type": "string", "pattern": "^[0-9]{1,6}$"},
                "description": "The drain is over when no new flow was seen for so many seconds. Default: the pool's drain.quiet."
              },
              {
                "name": "silent", "in": "query", "schema": {"type": "string", "pattern": "^[0-9]{1,6}$"},
                "description": "Seconds without a packet after which a flow counts as silent. Default: 300."
              }
            ]
          },
          "post": {
            "summary": "No new flows; existing flows continue.",
            "responses": {
              "200": {"$ref": "#/components/responses/ChangeReply"},
              "default": {"$ref": "#/components/responses/error"}
            },
            "parameters": [
              {"$ref": "#/components/parameters/require_saved"},
              {"$ref": "#/components/parameters/dry_run"}, {"$ref": "#/components/parameters/force"},
              {"$ref": "#/components/parameters/if_match"}
            ],
            "requestBody": {
              "required": false,
              "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Reason"}}}
            }
          }
        },
        "/v1/pools/{pool}/backends/{backend}/undrain": {
          "parameters": [
            {"name": "pool", "in": "path", "required": true, "schema": {"type": "string"}},
            {"name": "backend", "in": "path", "required": true, "schema": {"type": "string"}}
          ],
          "post": {
            "summary": "End drain or maint.",
            "responses": {
              "200": {"$ref": "#/components/responses/ChangeReply"},
              "default": {"$ref": "#/components/responses/error"}
            },
            "parameters": [
              {"$ref": "#/components/parameters/require_saved"},
              {"$ref": "#/components/parameters/dry_run"}, {"$ref": "#/components/parameters/if_match"}
            ],
            "requestBody": {
              "required": false,
              "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Reason"}}}
            }
          }
        },
        "/v1/pools/{pool}/backends/{backend}/maint": {
          "parameters": [
            {"name": "pool", "in": "path", "required": true, "schema": {"type": "string"}},
            {"name": "backend", "in": "path", "required": true, "schema": {"type": "string"}}
          ],
          "post": {
            "summary": "No packets from now on; connections break.",
            "responses": {
              "200": {"$ref": "#/components/responses/ChangeReply"},
              "default": {"$ref": "#/components/responses/error"}
            },
            "parameters": [
              {"$ref": "#/components/parameters/require_saved"},
              {"$ref": "#/components/parameters/dry_run"}, {"$ref": "#/components/parameters/force"},
              {"$ref": "#/components/parameters/if_match"}
            ],
            "requestBody": {
              "required": false,
              "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Reason"}}}
            }
          }
        },
        "/v1/config": {
          "get": {
            "summary": "The effective configuration; the seed is masked.",
            "responses": {
              "200": {"$ref": "#/components/responses/Configuration"},
              "default": {"$ref": "#/components/responses/error"}
            }
          }
        },
        "/v1/config/check": {
          "post": {
            "summary": "Check the daemon's files, or the candidate in the body.",
            "responses": {
              "200": {"$ref": "#/components/responses/ConfigurationCheck"},
              "default": {"$ref": "#/components/responses/error"}
            },
            "requestBody": {
              "required": false, "content": {"application/yaml": {"schema": {"type": "string"}}}
            }
          }
        },
        "/v1/config/diff": {
          "get": {
            "summary": "What a reload would do now.",
            "responses": {
              "200": {"$ref": "#/components/responses/ConfigurationDiff"},
              "default": {"$ref": "#/components/responses/error"}
            }
          },
          "post": {
            "summary": "What a reload of the candidate in the body would do now.",
            "responses": {
              "200": {"$ref": "#/components/responses/ConfigurationDiff"},
              "default": {"$ref": "#/components/responses/error"}
            },
            "requestBody": {
              "required": false, "content": {"application/yaml": {"schema": {"type": "string"}}}
            }
          }
        },
        "/v1/events": {
          "get": {
            "summary": "Events, one in each line: the latest 4096, or with follow=1 those to come.",
            "responses": {
              "200": {"$ref": "#/components/responses/Events"},
              "default": {"$ref": "#/components/responses/error"}
            },
            "parameters": [
              {
                "name": "follow", "in": "query", "schema": {"type": "string", "enum": ["0", "1"]},
                "description": "1: continue with events to come; a heartbeat line after 15 s without an event."
              },
              {
                "name": "since", "in": "query", "schema": {"type": "string", "pattern": "^[0-9]{1,18}$"},
                "description": "Events after this number. Default: all; with follow=1 only those to come."
              },
              {
                "name": "type", "in": "query", "schema": {"type": "string"},
                "description": "Only these types, separated by commas; may be given more than once."
              }
            ]
          }
        },
        "/v1/config/reload": {
          "post": {
            "summary": "Read the files again; answers when the change is in force.",
            "responses": {
              "200": {"$ref": "#/components/responses/ChangeReply"},
              "default": {"$ref": "#/components/responses/error"}
            },
            "parameters": [
              {"$ref": "#/components/parameters/dry_run"}, {"$ref": "#/components/parameters/force"},
              {"$ref": "#/components/parameters/if_match"}
            ]
          }
        },
        "/v1/attach": {
          "post": {
            "summary": "Attach the program again after a detach.",
            "responses": {
              "200": {"$ref": "#/components/responses/ChangeReply"},
              "default": {"$ref": "#/components/responses/error"}
            },
            "parameters": [
              {"$ref": "#/components/parameters/dry_run"}, {"$ref": "#/components/parameters/if_match"}
            ]
          }
        },
        "/v1/detach": {
          "post": {
            "summary": "End forwarding.",
            "responses": {
              "200": {"$ref": "#/components/responses/ChangeReply"},
              "default": {"$ref": "#/components/responses/error"}
            },
            "parameters": [
              {"$ref": "#/components/parameters/dry_run"}, {"$ref": "#/components/parameters/if_match"}
            ]
          }
        }
      },
      "components": {
        "parameters": {
          "dry_run": {
            "name": "dry_run", "in": "query", "schema": {"type": "string", "enum": ["0", "1"]},
            "description": "1: answer with the effect, and change nothing."
          },
          "force": {
            "name": "force", "in": "query", "schema": {"type": "string", "enum": ["0", "1"]},
            "description": "1: make the change even if it leaves fewer backends than require, or breaks connections."
          },
          "require_saved": {
            "name": "require_saved", "in": "query", "schema": {"type": "string", "enum": ["0", "1"]},
            "description": "1: refuse with 507 if the change cannot be saved; nothing is changed then."
          },
          "if_match": {
            "name": "If-Match", "in": "header", "schema": {"type": "string"},
            "description": "The ETag of the state that the client has read: run of the daemon and generation. 412 if the state differs now."
          }
        },
        "responses": {
          "error": {
            "description": "Refused; nothing was changed.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
          },
          "Root": {
            "description": "Done.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Root"}}}
          },
          "Index": {
            "description": "Done.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Index"}}}
          },
          "Document": {
            "description": "Done.", "content": {"application/json": {"schema": {"type": "object"}}}
          },
          "Status": {
            "description": "Done.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Status"}}}
          },
          "Metrics": {"description": "Done.", "content": {"text/plain": {"schema": {"type": "string"}}}},
          "Events": {
            "description": "A JSON object in each line.",
            "headers": {
              "Sluice-Started": {
                "description": "The start of the daemon's run. Another value means another sequence of numbers.",
                "schema": {"type": "string"}
              }
            },
            "content": {"application/x-ndjson": {"schema": {"$ref": "#/components/schemas/Event"}}}
          },
          "ServiceList": {
            "description": "Done.",
            "content": {
              "application/json": {
                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Service"}}
              }
            }
          },
          "PoolList": {
            "description": "Done.",
            "content": {
              "application/json": {
                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Pool"}}
              }
            }
          },
          "BackendList": {
            "description": "Done.",
            "content": {
              "application/json": {
                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Backend"}}
              }
            }
          },
          "Backend": {
            "description": "Done.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Backend"}}}
          },
          "Checks": {
            "description": "Done.",
            "content": {
              "application/json": {
                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Check"}}
              }
            }
          },
          "CheckReport": {
            "description": "Done, whether the probe passed or not.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/CheckReport"}}}
          },
          "DrainStatus": {
            "description": "Done.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/DrainStatus"}}}
          },
          "ChangeReply": {
            "description": "Done.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ChangeReply"}}}
          },
          "Configuration": {
            "description": "Done.", "content": {"application/yaml": {"schema": {"type": "string"}}}
          },
          "ConfigurationCheck": {
            "description": "Done.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ConfigurationCheck"}}}
          },
          "ConfigurationDiff": {
            "description": "Done.",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ConfigurationDiff"}}}
          }
        },
        "schemas": {
          "Event": {
            "type": "object",
            "properties": {
              "seq": {"type": "integer", "description": "Counts from 1 without gaps. Lines about the stream have no seq."},
              "time": {"type": "string"},
              "type": {
                "type": "string",
                "enum": [
                  "health", "backend", "pool", "plan", "config", "interface", "alarm", "daemon", "gap", "heartbeat"
                ]
              },
              "object": {"type": "string"}, "objects": {"type": "array", "items": {"type": "string"}},
              "old": {"type": "string"}, "new": {"type": "string"},
              "reason": {"type": "string"}, "by": {"type": "string"},
              "lost": {"type": "integer", "description": "Of a gap: the number of events of any type that were left out."}
            },
            "required": ["time", "type", "object"]
          },
          "Root": {
            "type": "object",
            "properties": {
              "versions": {"type": "array", "items": {"type": "string"}}, "server": {"type": "string"},
              "server_version": {"type": "string"}
            },
            "required": ["versions", "server", "server_version"]
          },
          "Index": {
            "type": "object",
            "properties": {
              "resources": {"type": "array", "items": {"type": "string"}},
              "api_extensions": {"type": "array", "items": {"type": "string"}},
              "generation": {"type": "integer"}
            },
            "required": ["resources", "api_extensions", "generation"]
          },
          "Status": {
            "type": "object",
            "properties": {
              "version": {"type": "string"}, "node": {"type": "string"}, "uptime_s": {"type": "number"},
              "configuration": {"$ref": "#/components/schemas/ConfigurationStatus"},
              "interface": {"$ref": "#/components/schemas/Interface"}, "services": {"type": "integer"},
              "pools": {"type": "array", "items": {"$ref": "#/components/schemas/Pool"}},
              "verdicts": {"type": "array", "items": {"$ref": "#/components/schemas/Verdict"}},
              "flows_used": {"type": "integer"}, "flows_capacity": {"type": "integer"},
              "alarms": {"type": "array", "items": {"$ref": "#/components/schemas/Alarm"}},
              "ready": {
                "type": "boolean",
                "description": "Whether every service is forwarded with the pool that the configuration gives it."
              },
              "awaited": {
                "type": "array", "items": {"type": "string"},
                "description": "Pools whose backends have no first health verdicts yet; they get no service before."
              }
            },
            "required": [
              "version", "node", "uptime_s", "configuration", "interface", "services", "pools", "verdicts",
              "flows_used", "flows_capacity", "alarms", "ready", "awaited"
            ]
          },
          "ConfigurationStatus": {
            "type": "object",
            "properties": {
              "file": {"type": "string"}, "generation": {"type": "integer"}, "loaded_at": {"type": "string"},
              "last_reload_ok": {"type": "boolean"}, "last_reload_at": {"type": "string"},
              "last_reload_error": {"type": "string"},
              "restart_required": {"type": "array", "items": {"type": "string"}},
              "overrides": {"type": "integer"}
            },
            "required": [
              "file", "generation", "loaded_at", "last_reload_ok", "last_reload_at", "restart_required",
              "overrides"
            ]
          },
          "Interface": {
            "type": "object",
            "properties": {
              "name": {"type": "string"}, "renamed_to": {"type": "string"}, "index": {"type": "integer"},
              "mac": {"type": "string"}, "mtu": {"type": "integer"}, "mode": {"type": "string", "enum": ["native", "generic"]},
              "mode_reason": {"type": "string"}, "full_speed": {"type": "boolean"}
            },
            "required": ["name", "full_speed"]
          },
          "Verdict": {
            "type": "object",
            "properties": {
              "verdict": {"type": "string"},
              "class": {"type": "string", "enum": ["forwarded", "passed", "answered", "dropped"]},
              "packets": {"type": "integer"}, "bytes": {"type": "integer"}
            },
            "required": ["verdict", "class", "packets", "bytes"]
          },
          "Alarm": {
            "type": "object",
            "properties": {
              "code": {"type": "string"}, "message": {"type": "string"}, "object": {"type": "string"},
              "objects": {"type": "array", "items": {"type": "string"}}, "cure": {"type": "string"}, "since": {"type": "string"}
            },
            "required": ["code", "message", "object", "objects", "cure", "since"]
          },
          "Pool": {
            "type": "object",
            "properties": {
              "name": {"type": "string"}, "slots": {"type": "integer"}, "changed_slots": {"type": "integer"},
              "table_digest": {"type": "string"}, "ready": {"type": "integer"},
              "required": {"type": "integer"}, "backends": {"type": "integer"}
            },
            "required": ["name", "slots", "changed_slots", "table_digest", "ready", "required", "backends"]
          },
          "Service": {
            "type": "object",
            "properties": {
              "name": {"type": "string"}, "vip": {"type": "string"}, "port": {"type": "integer"},
              "protocol": {"type": "string"}, "pool": {"type": "string"}, "affinity": {"type": "string"},
              "packets": {"type": "integer"}, "bytes": {"type": "integer"}
            },
            "required": ["name", "vip", "protocol", "pool", "affinity", "packets", "bytes"],
            "description": "Without port: the service of any port."
          },
          "Backend": {
            "type": "object",
            "properties": {
              "pool": {"type": "string"}, "name": {"type": "string"}, "address": {"type": "string"},
              "weight": {"type": "integer"},
              "state": {"type": "string", "enum": ["ready", "drain", "maint", "leaving"]},
              "health": {"$ref": "#/components/schemas/Health"}, "reason": {"type": "string"}, "share": {"type": "number", "minimum": 0, "maximum": 1},
              "flows": {"type": "integer"}, "last_new_s": {"type": "number"}, "drained": {"type": "boolean"},
              "packets": {"type": "integer"}, "bytes": {"type": "integer"}, "via": {"type": "string"},
              "mac": {"type": "string"}, "mtu": {"type": "integer"}, "trouble": {"type": "string"},
              "override": {"$ref": "#/components/schemas/Override"}
            },
            "required": [
              "pool", "name", "address", "weight", "state", "health", "share", "flows", "drained", "packets",
              "bytes"
            ],
            "description": "flows: live flows that are known, there may be more; last_new_s: seconds since an unknown flow was last confirmed there."
          },
          "Health": {"type": "string", "enum": ["up", "going_down", "down", "going_up", "unchecked"]},
          "Layer": {
            "type": "string",
            "enum": [
              "local", "route", "tunnel", "vip", "mtu", "reply", "port", "tls", "status", "body", "timeout"
            ],
            "description": "The layer at which a probe failed."
          },
          "Check": {
            "type": "object",
            "properties": {
              "pool": {"type": "string"}, "backend": {"type": "string"}, "target": {"type": "string"},
              "port": {"type": "integer"},
              "type": {"type": "string", "enum": [\#(checkTypes)]},
              "via": {"type": "string", "enum": ["tunnel", "direct"]},
              "state": {"$ref": "#/components/schemas/Health"}, "since": {"type": "string"},
              "passed": {"type": "integer"}, "failed": {"type": "integer"}, "last_at": {"type": "string"},
              "last_ms": {"type": "number"}, "layer": {"$ref": "#/components/schemas/Layer"},
              "reason": {"type": "string"}, "held_until": {"type": "string"}
            },
            "required": [
              "pool", "backend", "target", "type", "via", "state", "since", "passed", "failed"
            ],
            "description": "passed, failed: the latest probes in a row. layer, reason: why the latest probe failed."
          },
          "CheckReport": {
            "type": "object",
            "properties": {
              "pool": {"type": "string"}, "backend": {"type": "string"}, "target": {"type": "string"},
              "port": {"type": "integer"}, "type": {"type": "string"}, "via": {"type": "string"},
              "passed": {"type": "boolean"},
              "steps": {
                "type": "array",
                "items": {
                  "type": "object",
                  "properties": {
                    "result": {"type": "string", "enum": ["ok", "failed", "note"]}, "step": {"type": "string"},
                    "detail": {"type": "string"}, "ms": {"type": "number"}
                  },
                  "required": ["result", "step", "detail"]
                }
              },
              "layer": {"$ref": "#/components/schemas/Layer"}, "conclusion": {"type": "string"},
              "cure": {"type": "string"}
            },
            "required": [
              "pool", "backend", "target", "type", "via", "passed", "steps", "conclusion"
            ]
          },
          "DrainStatus": {
            "type": "object",
            "properties": {
              "pool": {"type": "string"}, "backend": {"type": "string"},
              "state": {"type": "string", "enum": ["ready", "drain", "maint", "leaving"]},
              "flows": {"type": "integer"}, "active_flows": {"type": "integer"},
              "silent_after_s": {"type": "number"}, "last_new_s": {"type": "number"},
              "quiet_s": {"type": "number"}, "drained": {"type": "boolean"}, "only_silent": {"type": "boolean"},
              "unconfirmed": {"type": "integer"}, "unwritten": {"type": "integer"}, "trouble": {"type": "string"}
            },
            "required": [
              "pool", "backend", "state", "flows", "active_flows", "silent_after_s", "quiet_s", "drained",
              "only_silent", "unconfirmed", "unwritten"
            ],
            "description": "flows: at least so many there are; active_flows: of those with a packet within silent_after_s; last_new_s: since an unknown flow was last confirmed; unconfirmed: unknown flows heard once, which the drain does not wait for; unwritten: packets since the drain began that could not be remembered; trouble: why flows could not be counted lately."
          },
          "Override": {
            "type": "object",
            "properties": {
              "changes": {"type": "array", "items": {"type": "string"}}, "by": {"type": "string"},
              "at": {"type": "string"}, "reason": {"type": "string"}
            },
            "required": ["changes", "by", "at"]
          },
          "BackendAddition": {
            "type": "object",
            "properties": {
              "address": {"type": "string"}, "weight": \#(weight),
              "state": {"type": "string", "enum": ["ready", "drain", "maint"]},
              "reason": {"type": "string", "maxLength": 512}
            },
            "required": ["address"], "additionalProperties": false
          },
          "BackendChange": {
            "type": "object",
            "properties": {
              "weight": \#(weight),
              "state": {"type": "string", "enum": ["ready", "drain", "maint"]},
              "reason": {"type": "string", "maxLength": 512}
            },
            "required": [], "additionalProperties": false
          },
          "Reason": {
            "type": "object", "properties": {"reason": {"type": "string", "maxLength": 512}}, "required": [],
            "additionalProperties": false
          },
          "ChangeReply": {
            "type": "object",
            "properties": {
              "generation": {"type": "integer"}, "dry_run": {"type": "boolean"},
              "effect": {"$ref": "#/components/schemas/ChangeEffect"},
              "not_saved": {
                "type": "string",
                "description": "Why the change, which is in force, could not be saved. Absent if it was saved."
              },
              "restart_required": {"type": "array", "items": {"type": "string"}}
            },
            "required": ["generation", "dry_run", "effect", "restart_required"]
          },
          "ChangeEffect": {
            "type": "object",
            "properties": {
              "changes": {"type": "array", "items": {"type": "string"}},
              "services": {"type": "array", "items": {"type": "string"}},
              "pools": {"type": "array", "items": {"$ref": "#/components/schemas/PoolEffect"}},
              "flows_concerned": {"type": "integer"}, "flows_lost": {"type": "integer"},
              "uncounted": {"type": "array", "items": {"$ref": "#/components/schemas/Uncounted"}},
              "warnings": {"type": "array", "items": {"type": "string"}}
            },
            "required": ["changes", "services", "pools", "uncounted", "warnings"]
          },
          "Uncounted": {
            "type": "object",
            "properties": {
              "backend": {"type": "string"}, "slots": {"type": "integer"}, "slots_total": {"type": "integer"},
              "packets_per_s": {"type": "number"}, "share": {"type": "number"}, "over_s": {"type": "number"}
            },
            "required": ["backend", "slots", "slots_total"],
            "description": "Flows on stable slots have no entry. They break, and are not counted in flows_lost."
          },
          "PoolEffect": {
            "type": "object",
            "properties": {
              "pool": {"type": "string"}, "slots_moved": {"type": "integer"},
              "slots_total": {"type": "integer"}, "ready": {"type": "integer"}, "required": {"type": "integer"},
              "emptied": {"type": "array", "items": {"type": "string"}},
              "filled": {"type": "array", "items": {"type": "string"}}
            },
            "required": ["pool", "slots_moved", "slots_total", "ready", "required", "emptied", "filled"]
          },
          "ConfigurationCheck": {
            "type": "object",
            "properties": {
              "services": {"type": "integer"}, "pools": {"type": "integer"},
              "warnings": {"type": "array", "items": {"$ref": "#/components/schemas/Diagnostic"}}
            },
            "required": ["services", "pools", "warnings"]
          },
          "ConfigurationDiff": {
            "type": "object",
            "properties": {
              "reload": {"$ref": "#/components/schemas/ChangeEffect"},
              "drift": {"type": "array", "items": {"type": "string"}},
              "restart_required": {"type": "array", "items": {"type": "string"}}
            },
            "required": ["reload", "drift", "restart_required"]
          },
          "Diagnostic": {
            "type": "object",
            "properties": {
              "file": {"type": "string"}, "line": {"type": "integer"}, "column": {"type": "integer"},
              "endColumn": {"type": "integer"}, "severity": {"type": "string", "enum": ["error", "warning"]},
              "code": {"type": "string"}, "path": {"type": "string"}, "message": {"type": "string"},
              "expected": {"type": "array", "items": {"type": "string"}}, "suggestion": {"type": "string"},
              "rendered": {"type": "string"}
            },
            "required": [
              "file", "line", "column", "endColumn", "severity", "code", "path", "message", "expected",
              "rendered"
            ]
          },
          "Error": {
            "type": "object",
            "properties": {
              "error": {
                "type": "object",
                "properties": {
                  "code": {"type": "string"}, "message": {"type": "string"}, "suggestion": {"type": "string"},
                  "path": {"type": "string"},
                  "diagnostics": {"type": "array", "items": {"$ref": "#/components/schemas/Diagnostic"}},
                  "effect": {"$ref": "#/components/schemas/ChangeEffect"}
                },
                "required": ["code", "message"]
              }
            },
            "required": ["error"]
          }
        }
      }
    }

    """#
}
