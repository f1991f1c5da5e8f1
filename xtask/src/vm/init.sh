#!/bin/busybox sh
# The first process of the virtual machine. What is printed before the line with `exec` is in the kernel's log.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
while read -r module; do insmod "/modules/$module"; done </modules/order

# The root is the host's, through 9P: read-only, so what was read once can be kept.
plan9=trans=virtio,version=9p2000.L,msize=512000
mount -t 9p -o $plan9,cache=loose,ro root /new
mount -t tmpfs none /tmp
for dir in etc var; do
    mkdir -p /tmp/$dir/upper /tmp/$dir/work
    mount -t overlay -o lowerdir=/new/$dir,upperdir=/tmp/$dir/upper,workdir=/tmp/$dir/work none /new/$dir
done
for dir in tmp run; do mount -t tmpfs -o mode=1777 none /new/$dir; done
number=0
while read -r dir; do
    mkdir -p "/new$dir"
    mount -t 9p -o $plan9,cache=none share$number "/new$dir"
    number=$((number + 1))
done </shares
mkdir -p /dev/pts /dev/shm
mount -t devpts none /dev/pts
mount -t tmpfs none /dev/shm
ln -s /proc/self/fd /dev/fd
for dir in dev proc sys; do mount -o rbind /$dir /new/$dir; done
mount -t cgroup2 none /new/sys/fs/cgroup
ip link set lo up
hostname layercake-vm
cp /command /new/run/command

stty -F /dev/hvc0 raw -echo
exec </dev/null >/dev/hvc0 2>&1
chroot /new /bin/sh /run/command
status=$?
sync
echo "$status" >/dev/hvc1
poweroff -f
