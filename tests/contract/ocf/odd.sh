#!/bin/sh
# A resource agent for tests. It behaves as the standard says, but for what the files in its folder tell it to do otherwise:
# ACTION.sh is run in place of an action. What it was asked is written down in `calls`.
folder=${OCF_RESKEY_folder-}
if [ "$1" = meta-data ]; then
    cat <<XML
<?xml version="1.0"?>
<resource-agent name="odd" version="1.0">
<version>1.1</version>
<shortdesc lang="en">Does what tests tell it</shortdesc>
<parameters>
<parameter name="folder" required="1"><shortdesc lang="en">Where it is told</shortdesc><content type="string"/></parameter>
<parameter name="count"><content type="integer" default="3"/></parameter>
<parameter name="loud"><content type="boolean" default="no"/></parameter>
<parameter name="secret"><content type="string"/></parameter>
</parameters>
<actions>
<action name="start" timeout="20s"/><action name="stop" timeout="20"/><action name="monitor" timeout="20s" interval="10s"/>
<action name="promote" timeout="2m"/><action name="demote" timeout="2m"/><action name="notify" timeout="20s"/>
</actions>
</resource-agent>
XML
    exit 0
fi
meta=OCF_RESKEY_CRM_meta
echo "$1 every=$OCF_RESKEY_CRM_meta_interval ${OCF_RESKEY_CRM_meta_notify_type-}-${OCF_RESKEY_CRM_meta_notify_operation-}" >>"$folder/calls"
if [ -f "$folder/$1.sh" ]; then . "$folder/$1.sh"; fi
case $1 in
start)
    echo standby >"$folder/role"
    if [ -n "${OCF_RESKEY_daemon-}" ]; then
        setsid sleep 1000 </dev/null &
        echo $! >"$folder/pid"
    fi
    ;;
stop)
    rm -f "$folder/role"
    if [ -f "$folder/pid" ]; then kill "$(cat "$folder/pid")" 2>/dev/null; fi
    rm -f "$folder/pid"
    ;;
promote) echo primary >"$folder/role" ;;
demote) echo standby >"$folder/role" ;;
monitor)
    if [ ! -f "$folder/role" ]; then exit 7; fi
    if [ -f "$folder/pid" ] && ! kill -0 "$(cat "$folder/pid")" 2>/dev/null; then
        echo "ocf-exit-reason:its daemon is gone" >&2
        exit 7
    fi
    if [ "$(cat "$folder/role")" = primary ]; then exit 8; fi
    ;;
notify) ;;
*) exit 3 ;;
esac
exit 0
