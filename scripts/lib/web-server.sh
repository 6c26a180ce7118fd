# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A backend's HTTP server: nginx on ports 80 and 8080 of every address its network has or will have.
#
#   GET /        "backend b1"          GET /big    30 MB, as fast as it goes
#   GET /name    "b1"                  GET /slow   the same, 256 kB/s: two minutes
#   PUT|POST /upload   up to 40 MB; answers "b1 received N" after the last octet came

web_server_configuration() { # HOST DIRECTORY
  cat <<CONFIGURATION
daemon off;
user root;
worker_processes 1;
pid $2/nginx.pid;
error_log $2/error.log;
events { worker_connections 4096; }
http {
  access_log $2/access.log;
  client_body_temp_path $2/body;
  proxy_temp_path $2/proxy;
  fastcgi_temp_path $2/fastcgi;
  uwsgi_temp_path $2/uwsgi;
  scgi_temp_path $2/scgi;
  default_type text/plain;
  client_max_body_size 40m;
  keepalive_timeout 600s;
  server {
    listen 80; listen 8080; listen [::]:80; listen [::]:8080;
    location = / { return 200 "backend $1\n"; }
    location = /name { return 200 "$1\n"; }
    location = /big { alias $2/big; }
    location = /slow { alias $2/big; limit_rate 256k; }
    # nginx asks the other server only when it has read the whole body; an answer of its own would not wait.
    location = /upload { proxy_pass http://unix:$2/received.sock; }
  }
  server {
    listen unix:$2/received.sock;
    access_log off;
    location / { return 200 "$1 received \$content_length\n"; }
  }
}
CONFIGURATION
}

web_server_start() { # NAME HOST DIRECTORY
  mkdir -p "$3"
  truncate -s 30M "$3/big"
  web_server_configuration "$2" "$3" >"$3/nginx.conf"
  topology_inside "$1" "$2" nginx -e "$3/error.log" -c "$3/nginx.conf" </dev/null >"$3/output.log" 2>&1 &
  web_server_await "$1" "$2" "$3"
}

web_server_answers() { # NAME HOST
  [[ $(topology_inside "$1" "$2" curl -s --max-time 1 "http://10.0.$(topology_leg "$2").2/name") == "$2" ]]
}

web_server_await() { # NAME HOST DIRECTORY
  local deadline=$((SECONDS + 5))
  until web_server_answers "$1" "$2"; do
    if ((SECONDS >= deadline)); then
      echo "lab: the HTTP server of $2 does not answer; its log:" >&2
      cat "$3/output.log" "$3/error.log" >&2
      return 1
    fi
    sleep 0.05
  done
}
