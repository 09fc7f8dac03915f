import { type Cases, together } from './cases.ts'

/** What a container is held to, and what it sees of the host. */
export const SURROUNDINGS: Cases = {
  limits: [
    [
      'of core files',
      `run --rm --network none --ulimit core=0 --ulimit nofile=1000 --ulimit nproc=1000 I sh -c 'ulimit -c'`,
    ],
    ...together(
      `run --rm --network none --ulimit nofile=100:200 --ulimit nproc=1000 --pids-limit 77 --memory 64m --memory-reservation 32m --cpus 0.5 --cpu-shares 300 --cpuset-cpus 0 --shm-size 2m I`,
      [
        ['of open files', 'ulimit -Sn; ulimit -Hn'],
        ['of processes', 'cat /sys/fs/cgroup/pids/pids.max'],
        ['of memory', 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes'],
        ['of memory to keep', 'cat /sys/fs/cgroup/memory/memory.soft_limit_in_bytes'],
        ['of CPUs', 'cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us'],
        ['of CPU shares', 'cat /sys/fs/cgroup/cpu/cpu.shares'],
        ['of CPU numbers', 'cat /sys/fs/cgroup/cpuset/cpuset.cpus'],
        ['of shared memory', 'df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2'],
      ],
    ),
    [
      'of CPU time in a period',
      `run --rm --network none --cpu-period 50000 --cpu-quota 25000 I sh -c 'cd /sys/fs/cgroup/cpu; cat cpu.cfs_quota_us cpu.cfs_period_us'`,
    ],
    ['that make no sense are an error', '~run --rm --network none --memory lots I true'],
    [
      'that the kernel kills for',
      `run --network none --name N --memory 16m --memory-swap 16m I sh -c 'echo begins >&2; exec tail /dev/zero'`,
    ],
  ],
  mounts: [
    ...together(
      `run --rm --network none -v F:/mnt -v F/text:/etc/text -v F:/ro:ro --mount type=bind,source=F,target=/words,readonly I`,
      [
        ['of directories', 'cat /mnt/text'],
        ['of files', 'cat /etc/text'],
        ['that are read-only', 'touch /ro/x 2>/dev/null || echo refused'],
        ['in words', 'cat /words/text'],
        ['in words, that are read-only', 'touch /words/x 2>/dev/null || echo refused'],
      ],
    ),
    [
      'that are written',
      `run --rm --network none -v F:/mnt I sh -c 'echo a > /mnt/N'\nrun --rm --network none -v F:/mnt I cat /mnt/N`,
    ],
    [
      'of volumes',
      `run --rm --network none -v N:/data I sh -c 'echo a > /data/a'\nrun --rm --network none -v N:/data I cat /data/a\nvolume rm N`,
    ],
    ...together(
      `run --rm --network none -v N:/etc -v N-ro:/ro:ro -v /data --mount type=tmpfs,target=/words,tmpfs-size=2m --tmpfs /mem:size=1m --tmpfs /own:mode=750 -v F:/mnt/a -v F:/mnt/a/b I`,
      [
        ['of volumes that begin as the image', 'cat /etc/group'],
        ['of volumes that are read-only', 'touch /ro/x 2>/dev/null || echo refused'],
        ['without a name', 'touch /data/x && ls /data'],
        ['in words, of memory', 'df -k /words | tail -1 | tr -s " " | cut -d" " -f2'],
        ['of memory', 'df -k /mem | tail -1 | tr -s " " | cut -d" " -f1-2'],
        ['of memory that everybody writes to', 'ls -ld /mem | cut -c1-10'],
        ['of memory with a mode', 'ls -ld /own | cut -c1-10'],
        ['one in another', 'cat /mnt/a/text'],
      ],
    ),
    [
      'in words, of what isn’t there',
      '~run --rm --network none --mount type=bind,source=/nosuch,target=/mnt I true',
    ],
    [
      'of another container',
      `~create --name N --network none -v F:/mnt -v /data I\nrun --rm --network none --volumes-from N:ro -v F/text:/data I sh -c 'cat /mnt/text /data; touch /mnt/N 2>/dev/null || echo refused'`,
    ],
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
    ...together(
      'run --rm --network none --add-host box:10.1.2.3 --sysctl net.ipv4.ip_default_ttl=99 --pid host --uts host I',
      [
        ['have one interface without a network', 'ls /sys/class/net'],
        ['have a hosts file', 'grep -w box /etc/hosts | tr -s "\\t" " "'],
        ['have kernel parameters', 'cat /proc/sys/net/ipv4/ip_default_ttl'],
        ['see those of the host', '[ $(ls -d /proc/[0-9]* | wc -l) -gt 20 ] && echo many'],
        ['have the host name of the host', 'hostname | wc -w'],
      ],
    ),
    ...together('run --rm --network host --dns 10.9.8.7 I', [
      ['have those of the host', 'ls /sys/class/net | grep -c eth0'],
      ['have name servers', 'grep nameserver /etc/resolv.conf'],
    ]),
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
