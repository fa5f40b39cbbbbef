# What the test bed asks of the system about one folder: folder.sh VERB FOLDER
#
#   list     the processes that live in the folder, one id a line
#   pause    stops them all (SIGSTOP)           resume   lets them go on (SIGCONT)
#   kill     kills them all (SIGKILL), until none is left
#   sweep    kills them all, takes away what only root can, and removes the folder
#   watch    waits for the end of standard input, then sweeps
#
# A process belongs to a folder when its working directory is in it. That holds for what a
# server starts by itself, whatever session, process group or parent it ends up with (each
# Postgres backend is a session of its own; a killed broker leaves its port programs behind),
# and it can be asked by a watchdog which was told nothing but the folder. The price: a shell
# of yours that stands in such a folder while its test ends is killed too.

folder=$2

inhabitants() {
    find /proc/[0-9]*/cwd -maxdepth 0 \
        \( -lname "$folder" -o -lname "$folder/*" -o -lname "$folder (deleted)" \) \
        -printf '%h\n' 2>/dev/null | cut -d/ -f3
}

# One signal can miss a process that was being born; two empty rounds in a row cannot. Bounded,
# because a process stuck in the kernel must not keep the watchdog for ever.
kill_all() {
    rounds=0 quiet=0
    while [ "$quiet" -lt 2 ] && [ "$rounds" -lt 500 ]; do
        ids=$(inhabitants)
        if [ -n "$ids" ]; then
            quiet=0
            kill -s KILL $ids 2>/dev/null
        else
            quiet=$((quiet + 1))
        fi
        rounds=$((rounds + 1))
        sleep 0.02
    done
}

# Twice: a child forked while the first round went by is caught by the second.
pause_all() {
    for _ in 1 2; do kill -s STOP $(inhabitants) 2>/dev/null; done
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Disks that are mounted in the folder, and network namespaces, each of which has left its name
# there as a file.
give_back() {
    awk -v folder="$folder/" 'index($2, folder) == 1 { print $2 }' /proc/mounts |
        while read -r disk; do as_root umount -l "$disk"; done
    find "$folder" -name '*.netns' | while read -r file; do
        as_root ip netns delete "$(basename "$file" .netns)"
    done
}

# What a killed Postgres would leave outside its folder: System V segments, which outlive every
# process (line 7 of postmaster.pid: key and id), and, if it dies inside initdb, which tries
# POSIX segments, files in /dev/shm (known by who has them mapped: asked while all stand still).
# There, too, is what a process has whose clock is false.
sweep() {
    pause_all
    mapped=$(for id in $(inhabitants); do
        grep -Eho '/dev/shm/(PostgreSQL[.0-9]*|(sem\.)?faketime_[_a-z0-9]*)' "/proc/$id/maps" 2>/dev/null
    done)
    kill_all
    rm -f $mapped
    find "$folder" -name postmaster.pid -exec awk 'FNR == 7 { print $2 }' {} + 2>/dev/null |
        while read -r id; do ipcrm -m "$id" 2>/dev/null; done
    give_back
    rm -rf "$folder"
}

case $1 in
list) inhabitants ;;
pause) pause_all ;;
resume) kill -s CONT $(inhabitants) 2>/dev/null ;;
kill) kill_all ;;
sweep) sweep ;;
watch)
    trap '' HUP INT TERM
    cat >/dev/null
    sweep
    ;;
esac
