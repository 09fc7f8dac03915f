import type { Cases } from './cases.ts'

const CREATED =
  '=create --name R --network none -w /etc -u app --hostname box -e A=1 --memory 64m --cpus 1.5 --pids-limit 50 -v F:/mnt:ro I echo a b'

/** What is known of containers, and what goes in and comes out. */
export const STATE: Cases = {
  'what is known': [
    ['of the command', `${CREATED}\ninspect -f '{{.Path}} {{.Args}} {{json .Config.Cmd}}' R`],
    [
      'of the configuration',
      `${CREATED}\ninspect -f '{{.Config.WorkingDir}} {{.Config.User}} {{.Config.Hostname}}' R`,
    ],
    [
      'of limits',
      `${CREATED}\ninspect -f '{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}' R`,
    ],
    [
      'of mounts',
      `${CREATED}\ninspect -f '{{range .Mounts}}{{.Type}} {{.Destination}} {{.RW}}{{end}}' R`,
    ],
    [
      'by ranges and conditions',
      `${CREATED}\ninspect -f '{{range $i, $a := .Args}}{{$i}}={{$a}} {{end}}{{if .State.Running}}up{{else}}down{{end}}' R`,
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
    ['are copied in', `~cp F/text R:/tmp/x\nexec R cat /tmp/x`],
    ['are copied in as what a directory has', `~cp F/. R:/tmp/new\nexec R cat /tmp/new/text`],
    ['are copied in as a directory', `~cp F R:/tmp\nexec R cat /tmp/files/text`],
    [
      'are copied into a container that does not run',
      `!run --name N --network none I ls /tmp\n~cp F/text N:/tmp/x\nstart -a N`,
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
    ['see no ports', `port R`],
    [
      'see its policy to restart',
      `~create --name N --network none --restart unless-stopped I\ninspect -f '{{.HostConfig.RestartPolicy.Name}}' N`,
    ],
    [
      'see that it was restarted',
      `~run -d --name N --network none --restart on-failure:1 I sh -c 'echo x >> /tmp/x; wc -l < /tmp/x; [ $(wc -l < /tmp/x) = 2 ] && exec sleep 100; exit 1'\n*exec N sh -c '[ $(wc -l < /tmp/x) = 2 ]'\nlogs N`,
    ],
    ['see its processes', `~top R`],
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
