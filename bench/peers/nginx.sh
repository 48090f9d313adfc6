# nginx.sh: nginx with only `return 200` and the body of a refusal; and nginx with Lua that runs the
# published script in Redis over kept connections. One worker, no access log.
# shellcheck shell=bash disable=SC2154 # from lib.sh

# nginx_start NAME LOCATION [CONNECTIONS [HTTP-SETTINGS [MODULES]]]
nginx_start() {
    address[$1]=127.0.0.1:$(free_port)
    mkdir -p "$work/$1"
    # Under root the worker would change its user, which may not open the socket of Redis.
    cat >"$work/$1/nginx.conf" <<CONF
${5-}
$([ "$(id -u)" -ne 0 ] || echo 'user root;')
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid $work/$1/pid;
error_log stderr;
events { worker_connections ${3:-1024}; }
http {
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path $work/$1/t1; proxy_temp_path $work/$1/t2;
    fastcgi_temp_path $work/$1/t3; uwsgi_temp_path $work/$1/t4; scgi_temp_path $work/$1/t5;
    default_type application/json;
    ${4-}
    server {
        listen ${address[$1]} backlog=4096;
        location / { $2 }
    }
}
CONF
    run_server "$1" nginx -e stderr -p "$work/$1" -c "$work/$1/nginx.conf"
    ready "$1" curl -sf "http://${address[$1]}/buy/ticket"
}

# nginx_refusing NAME [CONNECTIONS]
nginx_refusing() {
    nginx_start "$1" "return 200 '$no';" "${2-}"
    [ "$(curl -s "http://${address[$1]}/buy/ticket")" = "$no" ] || die "$1: the bodies differ"
}

# nginx_selling NAME REDIS
nginx_selling() {
    local modules=/usr/lib/nginx/modules
    nginx_start "$1" "content_by_lua_file $bench/peers/nginx.lua;" 4096 \
        "init_by_lua_block {
            require('nginx.redis').add_commands('evalsha')
            sale = {address = 'unix:$work/$2.sock', script = '${script[$2]}'}
            sale.yes, sale.no = '$yes', '$no'
        }" \
        "load_module $modules/ndk_http_module.so; load_module $modules/ngx_http_lua_module.so;"
}
