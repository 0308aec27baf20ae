# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Several L1s on one private network: `lab run --nodes N`. Sourced by `lab`.
#
#	node 0  10.77.0.1  fd77::1   runs COMMAND
#	node i  10.77.0.i+1          runs what node 0 sends it (tests/lab/node)
#
#	node 1 --- dgram sockets --- node 0 --- dgram sockets --- node 2 ...
#	                          (hub in its QEMU)
#
# The links are pairs of unix sockets: nothing leaves the machine, no node has to
# be there first. They carry frames of 4200 bytes, so that 4 KiB of RDMA are one
# packet. A directory that all nodes and this machine see carries commands and
# their results, whatever happens to the network:
#
#	cluster/N/ready		node N takes commands		cluster/N/end	it ends
#	cluster/N/jobs/ID/	a command and what comes of it (see lab/node)
#	cluster/host/ID.ask	"link|stop|cont|kill N [up|down]", for this machine
#	cluster/host/ID.done	its answer: "ok", or what is wrong
#
# shellcheck disable=SC2034,SC2154 # tmp, log, qemu, ignore, word, status are lab's

node_pid=()		# QEMU of node i, for i > 0; 0: who does what is asked

# nodes_prepare N: before node 0's control share is filled
nodes_prepare() {
	local i
	mkdir -p "$tmp/net" "$tmp/cluster/host"
	for ((i = 0; i < $1; i++)); do
		mkdir -p "$tmp/cluster/$i/jobs"
		mkfifo "$tmp/qmp$i.in" "$tmp/qmp$i.out"
	done
	export LAB_CLUSTER=$tmp/cluster LAB_NODES=$1
}

# nodes_net I N: what node I's QEMU gets on top, into net
nodes_net() {
	local i=$1 n=$2 j
	net=(-chardev "pipe,id=qmp,path=$tmp/qmp$i" -mon 'chardev=qmp,mode=control')
	if ((i > 0)); then
		net+=(-netdev "dgram,id=net0,local.type=unix,local.path=$tmp/net/$i-0,remote.type=unix,remote.path=$tmp/net/0-$i")
	elif ((n == 2)); then
		net+=(-netdev "dgram,id=net0,local.type=unix,local.path=$tmp/net/0-1,remote.type=unix,remote.path=$tmp/net/1-0")
	else
		net+=(-netdev 'hubport,id=net0,hubid=0')
		for ((j = 1; j < n; j++)); do
			net+=(-netdev "dgram,id=to$j,local.type=unix,local.path=$tmp/net/0-$j,remote.type=unix,remote.path=$tmp/net/$j-0"
				-netdev "hubport,id=port$j,hubid=0,netdev=to$j")
		done
	fi
	net+=(-device "virtio-net-pci,netdev=net0,id=nic0,host_mtu=4200,mac=52:54:00:4c:00:$(printf %02x "$((i + 1))")")
}

# nodes_start N: the others, from node 0's command line in qemu; then node 0's own net
nodes_start() {
	local n=$1 i command net
	for ((i = 1; i < n; i++)); do
		mkdir -p "$tmp/node$i"
		cp -r "$tmp/ctl" "$tmp/node$i/ctl"
		printf '%s\0' "$lab/node-agent" >"$tmp/node$i/ctl/argv"
		echo "node=$i" >>"$tmp/node$i/ctl/conf"
		: >"$tmp/node$i/console"
		command=("${qemu[@]//"$tmp/ctl"/"$tmp/node$i/ctl"}")
		command=("${command[@]//"$tmp/console"/"$tmp/node$i/console"}")
		command=("${command[@]//"$tmp/nvme"/"$tmp/node$i/nvme"}")
		[[ ! -e $tmp/nvme0 ]] || cp --sparse=always "$tmp"/nvme[0-9]* "$tmp/node$i/"
		nodes_net "$i" "$n"
		setpriv --pdeathsig KILL "${command[@]}" "${net[@]}" </dev/null >"$tmp/node$i/qemu.err" 2>&1 &
		node_pid[i]=$!
		disown $!	# no word of the shell's when it is killed
	done
	nodes_net 0 "$n"
	qemu+=("${net[@]}")
	echo node=0 >>"$tmp/ctl/conf"
	nodes_serve "$n" &
	node_pid[0]=$!
	disown $!
}

# qmp I JSON: one command; true when QEMU says that it is done
qmp() {
	local line in out status=1
	# both ways: nobody waits for the other end
	exec {in}<>"$tmp/qmp$1.in" {out}<>"$tmp/qmp$1.out"
	echo "$2" >&"$in"
	while read -r -t 5 -u "$out" line; do
		case $line in
		*'"error"'*) break ;;
		*'"return"'*) status=0; break ;;
		esac
	done
	exec {in}>&- {out}>&-
	return "$status"
}

# nodes_do WHAT N [up|down]: what node 0 asks of this machine
nodes_do() {
	local what=$1 n=$2 up=true
	case $what in
	link)
		[[ $3 != down ]] || up=false
		qmp "$n" '{"execute":"qmp_capabilities"}' || true
		qmp "$n" "{\"execute\":\"set_link\",\"arguments\":{\"name\":\"nic0\",\"up\":$up}}" ||
			{ echo "QEMU of node $n does not set its link"; return; }
		;;
	stop | cont | kill)
		((n > 0)) || { echo "node 0 cannot be asked that"; return; }
		kill "-${what^^}" "${node_pid[n]}" 2>/dev/null || { echo "node $n is not there"; return; }
		;;
	*)
		echo "unknown request '$what'"
		return
		;;
	esac
	echo "$what" >>"$tmp/cluster/host/asked$n"
	echo ok
}

# nodes_serve N: do what is asked; ends with the run
nodes_serve() {
	local ask what n arg
	while [[ -d $tmp/cluster/host ]]; do
		for ask in "$tmp"/cluster/host/*.ask; do
			[[ -e $ask ]] || continue
			read -r what n arg <"$ask" || true
			rm -f "$ask"
			nodes_do "$what" "$n" "$arg" >"${ask%.ask}.tmp"
			mv "${ask%.ask}.tmp" "${ask%.ask}.done"
		done
		sleep 0.1
	done
}

# nodes_end: let the others end, keep their logs; sets word and status when one
# of them has something to say
nodes_end() {
	local i end last=$((${#node_pid[@]} - 1)) asked console file
	kill "${node_pid[0]}" 2>/dev/null || true
	for ((i = 1; i <= last; i++)); do
		: >"$tmp/cluster/$i/end"
		kill -CONT "${node_pid[i]}" 2>/dev/null || true
	done
	end=$((SECONDS + 20))
	for ((i = 1; i <= last; i++)); do
		while kill -0 "${node_pid[i]}" 2>/dev/null && ((SECONDS < end)); do
			sleep 0.2
		done
		asked=$(cat "$tmp/cluster/host/asked$i" 2>/dev/null || true)
		console=$tmp/node$i/console
		file=${log%.log}.node$i.log
		kill -KILL "${node_pid[i]}" 2>/dev/null && [[ -z $word ]] &&
			word="NODE $i does not power off" status=122
		tr -d '\r' <"$console" >"$file"
		grep -aEf "$lab/splats" "$console" |
			{ if ((${#ignore[@]})); then grep -avE "${ignore[@]}"; else cat; fi; } >"$tmp/node$i/splat" || true
		if grep -aq 'Kernel panic - not syncing' "$console"; then
			word="PANIC of node $i: $(grep -am1 'Kernel panic - not syncing' "$console" | tr -d '\r')" status=121
		elif [[ -s $tmp/node$i/splat ]]; then
			word="SPLAT on node $i" status=120
		elif [[ ! -e $tmp/node$i/ctl/status && $asked != *kill* && -z $word ]]; then
			word="GONE: node $i ended by itself" status=122
			grep -v 'TCG doesn.t support' "$tmp/node$i/qemu.err" >&2 || true
		fi
		[[ -z $word ]] || { head -n 5 "$tmp/node$i/splat" | sed 's/^/lab:   /' >&2; echo "lab: kernel log: $file" >&2; }
	done
}

nodes_cleanup() {
	((${#node_pid[@]} == 0)) || kill -KILL "${node_pid[@]}" 2>/dev/null || true
}
