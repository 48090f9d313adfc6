# spike.sh: spike-server, with one worker wherever a peer has one.
# shellcheck shell=bash disable=SC2154 # from lib.sh

# spike_start NAME REDIS EVENTS [NODE [NODES [CONNECTIONS]]]: REDIS is a name of redis_start or
# empty; EVENTS as in spike.conf. An existing journal is kept, and so is the port.
spike_start() {
    [ -n "${address[$1]-}" ] || address[$1]=127.0.0.1:$(free_port)
    cat >"$work/$1.conf" <<CONF
node ${4:-1};
nodes ${5:-${4:-1}};
listen ${address[$1]};
workers 1;
connections ${6:-1000};
journal $work/$1.journal { size 4g; }
${2:+redis unix:$work/$2.sock;}
$3
CONF
    run_server "$1" "$server" -c "$work/$1.conf"
}

# Waits until an event is on sale or sold out.
spike_ready() {
    ready "$1" spike_has_event "$1" "$2"
}

spike_has_event() {
    curl -s "http://${address[$1]}/stock/$2" | grep -q '"state":"\(open\|soldout\)"'
}

# Sells the only ticket of an event. The first answers of a new sale may be "busy".
spike_sell_out() {
    ready "$1" spike_refuses "$1" "$2"
}

spike_refuses() {
    curl -s "http://${address[$1]}/buy/$2" | grep -q '"code":-1,'
}

spike_sold() {
    curl -s "http://${address[$1]}/stock/${2:-ticket}" | sed 's/.*"sold":\([0-9]*\).*/\1/'
}
