/** Title and steps of each case, by area; see compatibility.e2e.test.ts for how they are read. */
export const CASES: Readonly<
  Record<string, readonly (readonly [title: string, script: string])[]>
> = {
  'the command': [
    ['is the image’s', 'run --rm --network none I'],
    ['replaces the image’s', 'run --rm --network none I echo other'],
    ['has its exit code', `run --rm --network none I sh -c 'exit 7'`],
    ['has its exit code without --rm', `run --network none --name N I sh -c 'exit 7'`],
    ['killed by a signal has 128 and its number', `run --rm --network none I sh -c 'kill -9 $$'`],
    ['that is missing is 127', '~run --rm --network none I nosuch'],
    ['that is missing by its path is 127', '~run --rm --network none I /bin/nosuch'],
    ['that no one may execute is 126', '~run --rm --network none I /etc/passwd'],
    ['that is a directory is 126', '~run --rm --network none I /etc'],
    ['in an unknown image is 125', '~run --rm --pull never localhost/nosuch:1 true'],
    ['after an unknown flag is 125', '~run --frobnicate I true'],
    ['after an entrypoint is its arguments', 'run --rm --network none --entrypoint echo I a b'],
    ['of the image is dropped by an entrypoint', 'run --rm --network none --entrypoint pwd I'],
    ['keeps flags of its own', 'run --rm --network none I echo --rm -it -v x'],
    [
      'keeps empty words and spaces',
      `run --rm --network none I sh -c 'echo "<$1><$2>"' sh '' 'a  b'`,
    ],
    ['has standard input with -i', 'run --rm -i --network none I cat'],
    ['has an empty standard input without', 'run --rm --network none I cat'],
    ['is process 1', `run --rm --network none I sh -c 'echo $$'`],
    ['has standard error apart', `run --rm --network none I sh -c 'echo no >&2; echo yes'`],
    ['writes much, whole', `run --rm --network none I sh -c 'seq 100000 | md5sum; seq 20000'`],
  ],
  'the environment': [
    ['has the image’s', `run --rm --network none I sh -c 'echo $IMAGE'`],
    ['has what -e gives', `run --rm --network none -e A=1 -e B='x y' I sh -c 'echo $A,$B'`],
    ['is overruled by -e', `run --rm --network none -e IMAGE=other I sh -c 'echo $IMAGE'`],
    [
      'takes values from the host',
      `run --rm --network none -e FROM_HOST I sh -c 'echo $FROM_HOST'`,
    ],
    [
      'leaves out what the host lacks',
      `run --rm --network none -e NOT_THERE I sh -c 'echo <\${NOT_THERE-none}>'`,
    ],
    ['keeps = in values', `run --rm --network none -e A=b=c I sh -c 'echo $A'`],
    ['has empty values', `run --rm --network none -e A= I sh -c 'echo <\${A-none}>'`],
    [
      'comes from files',
      `run --rm --network none --env-file F/env I sh -c 'echo $FILE,$FROM_HOST,<\${EMPTY-none}>'`,
    ],
    [
      'of -e wins over files',
      `run --rm --network none --env-file F/env -e FILE=arg I sh -c 'echo $FILE'`,
    ],
    ['has a PATH', `run --rm --network none I sh -c 'echo $PATH'`],
    ['has a HOME', `run --rm --network none I sh -c 'echo $HOME'`],
    ['has the HOME of the user', `run --rm --network none -u app I sh -c 'echo $HOME'`],
    [
      'has the host name',
      `run --rm --network none --hostname box I sh -c 'echo $HOSTNAME; hostname; echo $(cat /etc/hostname)'`,
    ],
    ['has no TERM without a terminal', `run --rm --network none I sh -c 'echo <\${TERM-none}>'`],
  ],
  'the user': [
    ['is root', 'run --rm --network none I id'],
    ['is a name', 'run --rm --network none -u app I id'],
    ['is a number', 'run --rm --network none -u 1000 I id'],
    ['is a number that nobody has', `run --rm --network none -u 4321 I sh -c 'id -u; id -g'`],
    ['is with a group', `run --rm --network none -u app:extra I sh -c 'id -u; id -g'`],
    ['is numbers', `run --rm --network none -u 7:8 I sh -c 'id -u; id -g'`],
    ['has more groups', `run --rm --network none --group-add 77 -u app I sh -c 'id -G'`],
    ['has no capabilities', `run --rm --network none -u app I grep CapEff /proc/self/status`],
  ],
  'the working directory': [
    ['is the image’s', 'run --rm --network none I pwd'],
    ['is another', 'run --rm --network none -w /etc I pwd'],
  ],
  'capabilities and security': [
    [
      'are added',
      'run --rm --network none --cap-drop ALL --cap-add NET_ADMIN I grep CapEff /proc/self/status',
    ],
    [
      'are dropped',
      `run --rm --network none --cap-drop chown I sh -c 'chown 1 /tmp 2>/dev/null || echo refused'`,
    ],
    ['are dropped all', 'run --rm --network none --cap-drop ALL I grep CapEff /proc/self/status'],
    [
      'are bounded',
      'run --rm --network none --cap-drop ALL --cap-add KILL I grep CapBnd /proc/self/status',
    ],
    ['that don’t exist are an error', '~run --rm --network none --cap-add NO_SUCH I true'],
    [
      'no new privileges',
      'run --rm --network none --security-opt no-new-privileges I grep NoNewPrivs /proc/self/status',
    ],
    ['filter system calls', 'run --rm --network none I grep Seccomp: /proc/self/status'],
    [
      'filter none when unconfined',
      'run --rm --network none --security-opt seccomp=unconfined I grep Seccomp: /proc/self/status',
    ],
    [
      'refuse to mount',
      `run --rm --network none I sh -c 'mount -t tmpfs none /tmp 2>/dev/null || echo refused'`,
    ],
    [
      'refuse to change the host name',
      `run --rm --network none I sh -c 'hostname x 2>/dev/null || echo refused'`,
    ],
    [
      'keep /proc/sys read-only',
      `run --rm --network none I sh -c 'echo 1 2>/dev/null > /proc/sys/kernel/panic || echo refused'`,
    ],
    [
      'keep /sys read-only',
      `run --rm --network none I sh -c 'mkdir /sys/x 2>/dev/null || echo refused'`,
    ],
    ['mask /proc/kcore', `run --rm --network none I sh -c 'head -c 1 /proc/kcore | wc -c'`],
    [
      'give all with --privileged',
      `run --rm --network none --privileged I sh -c 'mount -t tmpfs none /tmp && echo mounted'`,
    ],
    [
      'give devices of the host',
      `run --rm --network none --device /dev/zero:/dev/nought I sh -c 'head -c 3 /dev/nought | wc -c'`,
    ],
    ['give no other devices', `run --rm --network none I sh -c 'ls /dev'`],
  ],
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
      'have a first process that reaps',
      `run --rm --network none --init I sh -c 'ps | grep -c "[i]nit -- sh\\|[c]atatonit"'`,
    ],
  ],
  'the life of a container': [
    [
      'is created and started',
      `~create --name N --network none I sh -c 'echo hi; exit 3'\ninspect -f '{{.State.Status}}' N\nstart N\nwait N\nlogs N\nstart -a N`,
    ],
    [
      'goes on in the background',
      `~run -d --name N --network none I sleep 100\ninspect -f '{{.State.Status}} {{.State.Running}}' N\nps -q --no-trunc --filter name=nosuch`,
    ],
    [
      'ends',
      `~run -d --name N --network none I sh -c 'exit 5'\nwait N\ninspect -f '{{.State.Status}} {{.State.ExitCode}}' N`,
    ],
    [
      'is stopped',
      `~run -d --name N --network none I sh -c 'trap "exit 9" TERM; while :; do sleep 0.1; done'\nexec N true\nstop N\ninspect -f '{{.State.ExitCode}}' N`,
    ],
    [
      'is stopped by another signal',
      `~run -d --name N --network none --stop-signal USR1 I sh -c 'trap "exit 8" USR1; while :; do sleep 0.1; done'\nexec N true\nstop N\ninspect -f '{{.State.ExitCode}}' N`,
    ],
    [
      'is stopped by force',
      `~run -d --name N --network none I sh -c 'trap "" TERM; while :; do sleep 0.1; done'\nexec N true\nstop -t 1 N\ninspect -f '{{.State.ExitCode}}' N`,
    ],
    ['is killed', `~run -d --name N --network none I sleep 100\nkill N\nwait N`],
    [
      'is killed by a signal',
      `~run -d --name N --network none I sh -c 'trap "exit 4" HUP; while :; do sleep 0.1; done'\nexec N true\nkill -s HUP N\nwait N`,
    ],
    ['can’t be killed when it has ended', `!run --name N --network none I true\n?kill N`],
    [
      'is restarted',
      `~run -d --name N --network none I sh -c 'echo x >> /tmp/x; wc -l < /tmp/x; sleep 100'\nrestart -t 0 N\nexec N wc -l /tmp/x`,
    ],
    [
      'is started twice',
      `~run -d --name N --network none I sleep 100\n!start N\ninspect -f '{{.State.Status}}' N`,
    ],
    [
      'is paused',
      `~run -d --name N --network none I sleep 100\n~pause N\ninspect -f '{{.State.Status}} {{.State.Paused}}' N\n~unpause N\ninspect -f '{{.State.Status}}' N`,
    ],
    [
      'is paused once',
      `~run -d --name N --network none I sleep 100\n!pause N\n!pause N\n!unpause N\ninspect -f '{{.State.Running}}' N`,
    ],
    ['is removed', `!run --name N --network none I true\nrm N\n!inspect N`],
    [
      'is not removed while it runs',
      `~run -d --name N --network none I sleep 100\ninspect -f '{{.Name}}' N`,
    ],
    [
      'is removed by force',
      `~run -d --name N --network none I sleep 100\n!rm -f -t 0 N\n!rm -f N\nps -aq --filter name=N`,
    ],
    ['ends with --rm', `~run -d --rm --name N --network none I sleep 100\n~kill N`],
    [
      'has a name of its own',
      `~create --name N --network none I\n!create --name N --network none I\nps -a --filter name=N --format '{{.Names}}'`,
    ],
    [
      'gets another name',
      `~create --name N --network none I\nrename N M\ninspect -f '{{.Name}}' M`,
    ],
    ['is waited for when it has ended', `!run --name N --network none I sh -c 'exit 6'\nwait N`],
    [
      'is found by its labels',
      `~create --name N --network none -l k=N I\nps -a --filter label=k=N --format '{{.Names}}'\nps -a --filter label=k=other --format '{{.Names}}'`,
    ],
    [
      'is found by its exit code',
      `!run --name N --network none I sh -c 'exit 61'\nps -a --filter exited=61 --filter name=N --format '{{.Names}}'`,
    ],
    [
      'is found by its state',
      `~create --name N --network none I\nps -a --filter status=created --filter name=N --format '{{.Names}}'`,
    ],
    [
      'has the labels of the image, and others',
      `~create --name N --network none -l k=v I\ninspect -f '{{index .Config.Labels "of"}} {{.Config.Labels.k}}' N`,
    ],
    [
      'fails once more as often as it may',
      `~run -d --name N --network none --restart on-failure:2 I sh -c 'exit 1'\n!wait N\n!wait N\n!exec N true\ninspect -f '{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}' N`,
    ],
  ],
  logs: [
    ['have what was said', `!run --name N --network none I sh -c 'echo a; echo b'\nlogs N`],
    ['have errors apart', `!run --name N --network none I sh -c 'echo a; echo b >&2'\nlogs N`],
    ['have the last lines', `!run --name N --network none I seq 10\nlogs --tail 3 N`],
    ['have no lines', `!run --name N --network none I seq 10\nlogs --tail 0 N`],
    [
      'have all lines when there are fewer',
      `!run --name N --network none I seq 3\nlogs --tail 10 N`,
    ],
    [
      'are followed to the end',
      `~run -d --name N --network none I sh -c 'echo a; sleep 1; echo b'\nlogs -f N`,
    ],
    [
      'are followed from the last lines',
      `~run -d --name N --network none I sh -c 'seq 5; sleep 5; echo b'\n!exec N true\nlogs -f --tail 1 N`,
    ],
    [
      'have what came since',
      `!run --name N --network none I echo a\nlogs --since 1h N\nlogs --since 2030-01-01T00:00:00Z N`,
    ],
    [
      'have what came until',
      `!run --name N --network none I echo a\nlogs --until 2000-01-01T00:00:00Z N`,
    ],
    [
      'have long lines whole',
      `!run --name N --network none I sh -c 'head -c 30000 /dev/zero | tr "\\0" x; echo; echo end'\nlogs N`,
    ],
    [
      'have bytes as they were',
      `!run --name N --network none I printf '\\303\\244\\n\\377\\n'\nlogs N`,
    ],
    ['are of a container that is there', '?logs nosuch'],
    ['are kept over restarts', `!run --name N --network none I echo a\nstart -a N\nlogs N`],
  ],
  exec: [
    ['runs beside the command', `~run -d --name N --network none I sleep 100\nexec N echo hi`],
    ['has its exit code', `~run -d --name N --network none I sleep 100\nexec N sh -c 'exit 9'`],
    [
      'has standard input with -i',
      `~run -d --name N --network none I sleep 100\nexec -i N cat\nexec N cat`,
    ],
    [
      'has the environment and more',
      `~run -d --name N --network none -e A=1 I sleep 100\nexec -e B=2 N sh -c 'echo $A $B $IMAGE'`,
    ],
    [
      'has another user',
      `~run -d --name N --network none I sleep 100\nexec -u app N id -u\nexec -u 5:6 N sh -c 'id -u; id -g'`,
    ],
    [
      'has the user of the container',
      `~run -d --name N --network none -u app I sleep 100\nexec N id -u`,
    ],
    [
      'has another working directory',
      `~run -d --name N --network none I sleep 100\nexec -w /etc N pwd\nexec N pwd`,
    ],
    ['of what is missing is 127', `~run -d --name N --network none I sleep 100\n~exec N nosuch`],
    [
      'of what can’t be executed is 126',
      `~run -d --name N --network none I sleep 100\n~exec N /etc/passwd`,
    ],
    [
      'runs in the background',
      `~run -d --name N --network none I sleep 100\n~exec -d N sh -c 'echo x > /tmp/x'\nexec N sh -c 'while ! [ -s /tmp/x ]; do sleep 0.1; done; cat /tmp/x'`,
    ],
    [
      'sees the processes of the container',
      `~run -d --name N --network none I sleep 321\nexec N sh -c 'ps | grep -c "[s]leep 321"'`,
    ],
  ],
  'what is known': [
    [
      'of the command',
      `~create --name N --network none I echo a\ninspect -f '{{.Path}} {{.Args}} {{json .Config.Cmd}}' N`,
    ],
    [
      'of the configuration',
      `~create --name N --network none -w /etc -u app --hostname box -e A=1 I\ninspect -f '{{.Config.WorkingDir}} {{.Config.User}} {{.Config.Hostname}}' N`,
    ],
    [
      'of limits',
      `~create --name N --network none --memory 64m --cpus 1.5 --pids-limit 50 I\ninspect -f '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}' N`,
    ],
    [
      'of mounts',
      `~create --name N --network none -v F:/mnt:ro I\ninspect -f '{{range .Mounts}}{{.Type}} {{.Destination}} {{.RW}}{{end}}' N`,
    ],
    [
      'by ranges and conditions',
      `~create --name N --network none I a b\ninspect -f '{{range $i, $a := .Args}}{{$i}}={{$a}} {{end}}{{if .State.Running}}up{{else}}down{{end}}' N`,
    ],
    [
      'of ends',
      `!run --name N --network none I sh -c 'exit 3'\ninspect -f '{{.State.ExitCode}} {{.State.OOMKilled}} {{.State.Pid}}' N`,
    ],
    [
      'of changes',
      `!run --name N --network none I sh -c 'touch /tmp/new; rm /etc/group; echo x >> /etc/passwd'\ndiff N`,
    ],
    ['of what isn’t there', '?inspect nosuch-container'],
  ],
  'files in and out': [
    [
      'are copied in',
      `~run -d --name N --network none I sleep 100\n~cp F/text N:/tmp/x\nexec N cat /tmp/x`,
    ],
    [
      'are copied in as what a directory has',
      `~run -d --name N --network none I sleep 100\n~cp F/. N:/tmp/new\nexec N cat /tmp/new/text`,
    ],
    [
      'are copied in as a directory',
      `~run -d --name N --network none I sleep 100\n~cp F N:/tmp\nexec N cat /tmp/files/text`,
    ],
    [
      'are copied into a container that does not run',
      `!run --name N --network none I true\n~cp F/text N:/tmp/x\nstart -a N\ndiff N`,
    ],
    [
      'are copied out',
      `!run --name N --network none I sh -c 'echo a > /tmp/a'\n~cp N:/tmp/a F/N.out\nrun --rm --network none -v F:/mnt I cat /mnt/N.out`,
    ],
    [
      'that are not there are an error',
      `~create --name N --network none I\n?cp N:/nosuch F/N.none\n?cp F/nosuch N:/tmp`,
    ],
    ['are exported', `~create --name N --network none I\n~export -o F/N.tar N\n?export nosuch`],
  ],
  'an image of a container': [
    [
      'has what was changed',
      `!run --name N --network none I sh -c 'echo x > /tmp/x; rm /etc/group'\n~commit N localhost/M:1\nrun --rm --network none localhost/M:1 sh -c 'cat /tmp/x; [ -e /etc/group ] || echo gone'`,
    ],
    [
      'runs as the container does',
      `~create --name N --network none -e A=1 -u app -w /etc I sh -c 'echo $A; id -u; pwd'\n~commit N localhost/M:1\nrun --rm --network none localhost/M:1`,
    ],
    [
      'runs as it is told',
      `~create --name N --network none I\n~commit -c 'CMD ["echo","committed"]' -c 'ENV B=2' N localhost/M:1\nrun --rm --network none localhost/M:1\nrun --rm --network none localhost/M:1 sh -c 'echo $B'`,
    ],
    [
      'of a container that runs is made, and that goes on',
      `~run -d --name N --network none I sleep 100\n~commit N localhost/M:1\ninspect -f '{{.State.Status}}' N`,
    ],
    ['of what is not there is an error', `?commit nosuch localhost/M:1`],
  ],
  'changes of a container': [
    [
      'of its memory',
      `~run -d --name N --network none --memory 64m I sleep 100\n~update --memory 32m N\nexec N cat /sys/fs/cgroup/memory/memory.limit_in_bytes`,
    ],
    [
      'of its CPU shares',
      `~run -d --name N --network none I sleep 100\n~update --cpu-shares 200 N\nexec N cat /sys/fs/cgroup/cpu/cpu.shares`,
    ],
    [
      'of its name to one that is taken',
      `~create --name N --network none I\n~create --name M --network none I\n?rename N M\ninspect -f '{{.Name}}' N`,
    ],
    [
      'of what is not there',
      `?rename nosuch M\n?update --memory 32m nosuch\n?pause nosuch\n?start nosuch\n?stop nosuch\n?restart nosuch\n?wait nosuch\n?port nosuch\n?top nosuch`,
    ],
    [
      'while it is paused',
      `~run -d --name N --network none I sleep 100\n!pause N\n?exec N true\n!unpause N\nexec N echo hi`,
    ],
    [
      'by a start of what has ended',
      `!run --name N --network none I sh -c 'echo x >> /tmp/x; exit $(wc -l < /tmp/x)'\n!start N\nwait N`,
    ],
    [
      'by a restart of what has ended',
      `!run --name N --network none I sleep 0\n!restart -t 0 N\nwait N`,
    ],
    [
      'by a stop of what has ended',
      `!run --name N --network none I true\n~stop N\ninspect -f '{{.State.ExitCode}}' N`,
    ],
  ],
  'looks at a container': [
    [
      'wait for several',
      `~run -d --name N --network none I sh -c 'exit 3'\n~run -d --name M --network none I sh -c 'exit 4'\nwait N M`,
    ],
    [
      'see what it takes',
      `~run -d --name N --network none I sleep 100\nstats --no-stream --format '{{.Name}} {{.PIDs}}' N`,
    ],
    ['see no ports', `~run -d --name N --network none I sleep 100\nport N`],
    [
      'see its policy to restart',
      `~create --name N --network none --restart unless-stopped I\ninspect -f '{{.HostConfig.RestartPolicy.Name}}' N`,
    ],
    [
      'see that it was restarted',
      `~run -d --name N --network none --restart on-failure:1 I sh -c 'echo x >> /tmp/x; [ $(wc -l < /tmp/x) = 2 ] && exec sleep 100; sleep 1; exit 1'\n!wait N\n!exec N true\nlogs N`,
    ],
    ['see its processes', `~run -d --name N --network none I sleep 100\n~top N`],
  ],
  'volumes by name': [
    [
      'are made, told of and removed',
      `volume create N\nvolume inspect -f '{{.Name}} {{.Driver}}' N\nvolume rm N\n?volume inspect N`,
    ],
    [
      'keep what was written, without the container',
      `!run --rm --network none -v N:/data I sh -c 'echo a > /data/a'\nrun --rm --network none -v N:/data:ro I cat /data/a\n!volume rm N`,
    ],
    [
      'are not removed while a container has them',
      `~create --name N --network none -v N:/data I\n?volume rm N`,
    ],
  ],
}
