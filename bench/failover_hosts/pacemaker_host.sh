#!/bin/bash
# One host of a Pacemaker cluster: process 1 of namespaces of its own, since corosync and Pacemaker know one instance per machine.
#
#   pacemaker_host.sh NAME FOLDER     FOLDER has corosync.conf and gets the logs
set -eu
name=$1 folder=$2

hostname "$name"
mount --make-rprivate /
umask 022
for place in /run /dev/shm /var/lib/pacemaker /var/lib/corosync /etc/corosync /var/log/pacemaker /var/log/corosync /etc/pacemaker; do
    if [ -d $place ]; then mount -t tmpfs -o mode=755 none $place; fi
done
chmod 1777 /dev/shm
mkdir -p /run/lock /run/resource-agents /run/crm /run/pacemaker /var/lib/pacemaker/{cib,pengine,cores,blackbox}
chown -R hacluster:haclient /var/lib/pacemaker /var/log/pacemaker /run/crm
chmod 750 /var/lib/pacemaker /var/lib/pacemaker/*
chmod 770 /var/log/pacemaker
cp "$folder/corosync.conf" /etc/corosync/corosync.conf

corosync -f &
sleep 1
export PCMK_logfile=$folder/$name-pacemaker.log PCMK_logfacility=none PCMK_logpriority=notice PCMK_dh_min_bits=1024
pacemakerd -f &
set +e
while :; do wait -n || sleep 1; done # process 1 reaps
