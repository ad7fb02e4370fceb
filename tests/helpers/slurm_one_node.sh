#!/usr/bin/env bash
# A Slurm of one node on loopback, for tests: Debian's packages, as root.
#   slurm_one_node.sh start FOLDER    prints nothing once jobs can be handed in
#   slurm_one_node.sh stop FOLDER
# Jobs of partition `low` are preempted by those of `high`, and queued again.
# Status 3, and the reason in a line, where it cannot be had.
set -euo pipefail
verb=$1 folder=$2
daemons="slurmctld slurmd munged"

cannot() { echo "no Slurm here: $1" >&2; exit 3; }

stop() {
  export SLURM_CONF=$folder/slurm.conf
  scancel --user root 2>/dev/null || true
  for _ in $(seq 100); do
    [ -n "$(squeue --noheader 2>/dev/null)" ] || break
    sleep 0.1
  done
  for name in $daemons; do
    [ -f "$folder/$name.pid" ] || continue
    pid=$(cat "$folder/$name.pid")
    kill "$pid" 2>/dev/null || continue
    for _ in $(seq 100); do  # they write their state as they end, into a folder that goes next
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
  done
  true
}

if [ "$verb" = stop ]; then stop; exit 0; fi
[ "$(id -u)" = 0 ] || cannot "it takes root"
if ! command -v slurmctld slurmd munged sbatch >/dev/null; then
  command -v apt-get >/dev/null || cannot "slurmctld is not installed, and there is no apt-get"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
      --no-install-recommends slurmctld slurmd slurm-client munge; } >/dev/null 2>&1 \
    || cannot "apt-get does not install it"
fi
mkdir -p "$folder/state" "$folder/spool" "$folder/munge"
dd if=/dev/urandom of="$folder/munge/key" bs=1024 count=1 status=none
chmod 400 "$folder/munge/key"
socket=$folder/munge/socket host=$(hostname -s)
cat >"$folder/slurm.conf" <<END
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${SLURMCTLD_PORT:-16817}
SlurmdPort=${SLURMD_PORT:-16818}
AuthType=auth/munge
AuthInfo=socket=$socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
KillWait=2
MinJobAge=2
JobAcctGatherType=jobacct_gather/none
JobRequeue=1
PreemptMode=REQUEUE
PreemptType=preempt/partition_prio
SchedulerParameters=batch_sched_delay=0,sched_interval=2,defer_batch,requeue_delay=1
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=8000 State=UNKNOWN
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 MaxTime=60 State=UP
PartitionName=high Nodes=ALL PriorityTier=2 MaxTime=60 State=UP
END
export SLURM_CONF=$folder/slurm.conf
munged --force --key-file="$folder/munge/key" --socket="$socket" --pid-file="$folder/munged.pid" \
  --log-file="$folder/munged.log" --seed-file="$folder/munge/seed" >/dev/null 2>&1
slurmctld
sleep 1
slurmd
for _ in $(seq 30); do
  sinfo --noheader --format=%t 2>/dev/null | grep -q idle && exit 0
  sleep 1
done
stop
cannot "its node does not come up; see $folder"
