#!/bin/sh
# Records what `pummel doctor` reads of a machine, for a test in tuning/src/advice/tests.rs:
#     sh record.sh > my-machine.txt
# A recording says nothing about anybody: names of the machine and addresses of its cards are not
# in it. What is a symbolic link here is one in the recording.
echo "# $(uname -srm), recorded by record.sh; say here what kind of machine it is."
text() { [ -r "$1" ] && [ -f "$1" ] && { echo "== $1"; head -c 8192 "$1" 2>/dev/null; }; }
link() { [ -L "$1" ] && echo "== $1 -> $(readlink "$1")"; }
for file in /proc/self/status /proc/self/limits /proc/self/cgroup /proc/loadavg /proc/meminfo \
    /proc/net/sockstat /proc/net/softnet_stat /proc/net/route /proc/sys/fs/file-nr; do
    text "$file"
done
echo "== /proc/self/mountinfo"; grep -w -e cgroup -e cgroup2 /proc/self/mountinfo
echo "== /proc/stat"; head -1 /proc/stat
echo "== /proc/cpuinfo"; grep -m 1 "model name" /proc/cpuinfo
for file in /proc/sys/kernel/osrelease /proc/sys/kernel/io_uring_* /proc/sys/kernel/numa_balancing \
    /proc/sys/kernel/nmi_watchdog /proc/sys/kernel/sched_rt_runtime_us /proc/sys/vm/swappiness \
    /proc/sys/fs/nr_open /proc/sys/fs/file-max /proc/sys/net/netfilter/nf_conntrack_max \
    /proc/sys/net/netfilter/nf_conntrack_count \
    /proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait \
    /proc/sys/net/ipv4/ip_local_* /proc/sys/net/ipv4/tcp_tw_* /proc/sys/net/ipv4/tcp_max_* \
    /proc/sys/net/ipv4/tcp_fin_timeout /proc/sys/net/ipv4/tcp_timestamps \
    /proc/sys/net/ipv4/tcp_syncookies /proc/sys/net/ipv4/tcp_congestion_control \
    /proc/sys/net/ipv4/tcp_slow_start_after_idle /proc/sys/net/ipv4/tcp_no_metrics_save \
    /proc/sys/net/ipv4/tcp_autocorking /proc/sys/net/ipv4/tcp_?mem /proc/sys/net/ipv4/tcp_mem \
    /proc/sys/net/core/somaxconn /proc/sys/net/core/default_qdisc /proc/sys/net/core/*mem_max \
    /proc/sys/net/core/netdev_max_backlog /proc/sys/net/core/netdev_budget* \
    /proc/sys/net/core/busy_* /proc/sys/net/core/rps_sock_flow_entries \
    /sys/kernel/mm/transparent_hugepage/enabled /sys/devices/system/cpu/online \
    /sys/devices/system/clocksource/clocksource0/current_clocksource \
    /sys/devices/system/node/node*/cpulist; do
    text "$file"
done
# Of routes by IPv6 only those to everywhere, without their gateways: others are made of addresses.
echo "== /proc/net/ipv6_route"
awk '$1 $2 ~ /^0+$/ && $10 != "lo" { gsub(/[0-9a-f]/, "0", $5); print }' /proc/net/ipv6_route
for process in /proc/[0-9]*; do
    [ "$(cat "$process/comm" 2>/dev/null)" = irqbalance ] && text "$process/comm"
done
text /sys/devices/system/cpu/cpuidle/current_driver
for cpu in /sys/devices/system/cpu/cpu[0-9]*; do
    text "$cpu/topology/thread_siblings_list"
    text "$cpu/cpufreq/scaling_governor"
    for state in "$cpu"/cpuidle/state*; do text "$state/latency"; text "$state/disable"; done
done
for card in /sys/class/net/*; do
    [ -e "$card/device" ] || continue
    for file in operstate speed device/numa_node statistics/rx_missed_errors; do
        text "$card/$file"
    done
    link "$card/device/driver"
    for queue in "$card"/queues/rx-*; do text "$queue/rps_cpus"; text "$queue/rps_flow_cnt"; done
    for queue in "$card"/queues/tx-*; do text "$queue/xps_cpus"; text "$queue/xps_rxqs"; done
    for irq in "$card"/device/msi_irqs/* "$card"/device/../msi_irqs/*; do
        number=${irq##*/}
        [ -r "$irq" ] || continue
        text "$card/device/msi_irqs/$number" || text "$irq"
        text "/proc/irq/$number/smp_affinity_list"
        text "/proc/irq/$number/effective_affinity_list"
    done
done
for group in $(sed 's/^[^:]*:[^:]*://' /proc/self/cgroup | sort -u); do
    for root in /sys/fs/cgroup /sys/fs/cgroup/cpu /sys/fs/cgroup/cpuset /sys/fs/cgroup/memory; do
        for file in cpu.max cpuset.cpus.effective memory.max memory.current cpu.cfs_quota_us \
            cpu.cfs_period_us cpuset.effective_cpus cpuset.cpus memory.limit_in_bytes \
            memory.usage_in_bytes; do
            text "$root$group/$file"
        done
    done
done
