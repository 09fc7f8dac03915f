import type { Cases } from './cases.ts'

/** What a container is held to, and what it sees of the host. */
export const SURROUNDINGS: Cases = {
  limits: [
    [
      'of open files',
      `run --rm --network none --ulimit nofile=100:200 --ulimit nproc=1000 I sh -c 'ulimit -Sn; ulimit -Hn'`,
    ],
    [
      'of core files',
      `run --rm --network none --ulimit core=0 --ulimit nofile=1000 --ulimit nproc=1000 I sh -c 'ulimit -c'`,
    ],
    ['of processes', `run --rm --network none --pids-limit 77 I cat /sys/fs/cgroup/pids/pids.max`],
    [
      'of memory',
      'run --rm --network none --memory 64m I cat /sys/fs/cgroup/memory/memory.limit_in_bytes',
    ],
    [
      'of memory to keep',
      'run --rm --network none --memory-reservation 32m I cat /sys/fs/cgroup/memory/memory.soft_limit_in_bytes',
    ],
    ['of CPUs', 'run --rm --network none --cpus 0.5 I cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us'],
    [
      'of CPU time in a period',
      `run --rm --network none --cpu-period 50000 --cpu-quota 25000 I sh -c 'cd /sys/fs/cgroup/cpu; cat cpu.cfs_quota_us cpu.cfs_period_us'`,
    ],
    [
      'of CPU shares',
      'run --rm --network none --cpu-shares 300 I cat /sys/fs/cgroup/cpu/cpu.shares',
    ],
    [
      'of CPU numbers',
      'run --rm --network none --cpuset-cpus 0 I cat /sys/fs/cgroup/cpuset/cpuset.cpus',
    ],
    [
      'of shared memory',
      `run --rm --network none --shm-size 2m I sh -c 'df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2'`,
    ],
    ['that make no sense are an error', '~run --rm --network none --memory lots I true'],
    [
      'that the kernel kills for',
      `run --network none --name N --memory 16m --memory-swap 16m I sh -c 'echo begins >&2; exec tail /dev/zero'`,
    ],
  ],
  mounts: [
    ['of directories', 'run --rm --network none -v F:/mnt I cat /mnt/text'],
    ['of files', 'run --rm --network none -v F/text:/etc/text I cat /etc/text'],
    [
      'that are read-only',
      `run --rm --network none -v F:/mnt:ro I sh -c 'touch /mnt/x 2>/dev/null || echo refused'`,
    ],
    [
      'that are written',
      `run --rm --network none -v F:/mnt I sh -c 'echo a > /mnt/N'\nrun --rm --network none -v F:/mnt I cat /mnt/N`,
    ],
    [
      'of volumes',
      `run --rm --network none -v N:/data I sh -c 'echo a > /data/a'\nrun --rm --network none -v N:/data I cat /data/a\nvolume rm N`,
    ],
    [
      'of volumes that begin as the image',
      `run --rm --network none -v N:/etc I sh -c 'cat /etc/group'\n!volume rm N`,
    ],
    [
      'of volumes that are read-only',
      `run --rm --network none -v N:/data:ro I sh -c 'touch /data/x 2>/dev/null || echo refused'\n!volume rm N`,
    ],
    ['without a name', `run --rm --network none -v /data I sh -c 'touch /data/x && ls /data'`],
    [
      'in words',
      'run --rm --network none --mount type=bind,source=F,target=/mnt,readonly I cat /mnt/text',
    ],
    [
      'in words, of memory',
      `run --rm --network none --mount type=tmpfs,target=/mem,tmpfs-size=1m I sh -c 'df -k /mem | tail -1 | tr -s " " | cut -d" " -f2'`,
    ],
    [
      'in words, of what isn’t there',
      '~run --rm --network none --mount type=bind,source=/nosuch,target=/mnt I true',
    ],
    [
      'of memory',
      `run --rm --network none --tmpfs /mem:size=1m I sh -c 'df -k /mem | tail -1 | tr -s " " | cut -d" " -f1-2'`,
    ],
    [
      'of another container',
      `~create --name N --network none -v F:/mnt -v /data I\nrun --rm --network none --volumes-from N:ro -v F/text:/data I sh -c 'cat /mnt/text /data; touch /mnt/N 2>/dev/null || echo refused'`,
    ],
    ['one in another', 'run --rm --network none -v F:/mnt/a -v F:/mnt/a/b I cat /mnt/a/text'],
    ['at one place twice', '~run --rm --network none -v F:/mnt -v /tmp:/mnt I true'],
    ['that are relative', '~run --rm --network none -v F:mnt I true'],
    [
      'leave a read-only root',
      `run --rm --network none --read-only I sh -c 'touch /x 2>/dev/null || echo refused'`,
    ],
    [
      'leave a read-only root, and a writable volume',
      `run --rm --network none --read-only -v F:/mnt I sh -c 'touch /mnt/N && echo written'`,
    ],
  ],
  'namespaces and network': [
    ['have one interface without a network', `run --rm --network none I sh -c 'ls /sys/class/net'`],
    [
      'have those of the host',
      `run --rm --network host I sh -c 'ls /sys/class/net | grep -c eth0'`,
    ],
    [
      'have a hosts file',
      `run --rm --network none --add-host box:10.1.2.3 I sh -c 'grep -w box /etc/hosts | tr -s "\\t" " "'`,
    ],
    [
      'have name servers',
      `run --rm --network host --dns 10.9.8.7 I sh -c 'grep nameserver /etc/resolv.conf'`,
    ],
    [
      'have kernel parameters',
      'run --rm --network none --sysctl net.ipv4.ip_default_ttl=99 I cat /proc/sys/net/ipv4/ip_default_ttl',
    ],
    [
      'see those of the host',
      `run --rm --network none --pid host I sh -c '[ $(ls -d /proc/[0-9]* | wc -l) -gt 20 ] && echo many'`,
    ],
    [
      'have the host name of the host',
      `run --rm --network none --uts host I sh -c 'hostname | wc -w'`,
    ],
    [
      'share another’s network',
      `~run -d --name N --network none --hostname first I sleep 100\nrun --rm --network container:N I sh -c 'ls /sys/class/net'`,
    ],
    [
      'share another’s processes',
      `~run -d --name N --network none I sleep 123\nrun --rm --network none --pid container:N I sh -c 'ps | grep -c "[s]leep 123"'`,
    ],
    [
      'see the cgroups of the host, or their own',
      `run --rm --network none --cgroupns host I grep -c ':pids:/$' /proc/self/cgroup\nrun --rm --network none --cgroupns private I grep -c ':pids:/$' /proc/self/cgroup`,
    ],
    [
      'share another’s memory',
      `~run -d --name N --network none --shm-size 3m --ipc shareable I sleep 100\nrun --rm --network none --ipc container:N I sh -c 'echo a > /dev/shm/a; df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2'\nexec N cat /dev/shm/a`,
    ],
    [
      'share no memory that is another’s alone',
      `~run -d --name N --network none --ipc private I sleep 100\n~run --rm --network none --ipc container:N I true`,
    ],
    ['have no shared memory', `run --rm --network none --ipc none I ls /dev`],
    [
      'have a first process that reaps',
      `run --rm --network none --init I sh -c 'ps | grep -c "[i]nit -- sh\\|[c]atatonit"'`,
    ],
  ],
}
