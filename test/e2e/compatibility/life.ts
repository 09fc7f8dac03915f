import type { Cases } from './cases.ts'

/** A container with labels that was never started, one that has counted to ten, and one with a user and an environment. */
const LABELLED = '=create --name R --network none -l k=R I'
const COUNTED = '=run --name R --network none I seq 10'
const USED = '=run -d --name R --network none -e A=1 -u app I sleep 100'

/** A container from start to end, what it says, and commands beside its own. */
export const LIFE: Cases = {
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
    [
      'has verbs by another name',
      `~container create --name N --network none I\ncontainer ls -a --filter name=N --format '{{.Names}}'\ncontainer exists N\nimage exists I\n~container rm N\ncontainer exists N`,
    ],
    [
      'is removed within a time',
      `~run -d --name N --network none I sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done'\n!exec N true\n~rm -f -t 20 N\nps -aq --filter name=N`,
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
      `${LABELLED}\nps -a --filter label=k=R --format '{{.Names}}'\nps -a --filter label=k=other --format '{{.Names}}'`,
    ],
    [
      'is found by its exit code',
      `!run --name N --network none I sh -c 'exit 61'\nps -a --filter exited=61 --filter name=N --format '{{.Names}}'`,
    ],
    [
      'is found by its state',
      `${LABELLED}\nps -a --filter status=created --filter name=R --format '{{.Names}}'`,
    ],
    [
      'has the labels of the image, and others',
      `${LABELLED}\ninspect -f '{{index .Config.Labels "of"}} {{.Config.Labels.k}}' R`,
    ],
    [
      'fails once more as often as it may',
      `~run -d --name N --network none --restart on-failure:2 I sh -c 'exit 1'\n!wait N\n!wait N\n!exec N true\ninspect -f '{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}' N`,
    ],
  ],
  logs: [
    ['have what was said', `${COUNTED}\nlogs R`],
    ['have errors apart', `!run --name N --network none I sh -c 'echo a; echo b >&2'\nlogs N`],
    ['have the last lines', `${COUNTED}\nlogs --tail 3 R`],
    ['have all lines when none are counted', `${COUNTED}\nlogs --tail -1 R`],
    ['have no lines', `${COUNTED}\nlogs --tail 0 R`],
    ['have all lines when there are fewer', `${COUNTED}\nlogs --tail 20 R`],
    [
      'are followed to the end',
      `~run -d --name N --network none I sh -c 'echo a; sleep 1; echo b'\nlogs -f N`,
    ],
    [
      'are followed from the last lines',
      `~run -d --name N --network none I sh -c 'seq 5; sleep 20; echo b'\n!exec N true\nlogs -f --tail 1 N`,
    ],
    ['have what came since', `${COUNTED}\nlogs --since 1h R\nlogs --since 2030-01-01T00:00:00Z R`],
    ['have what came until', `${COUNTED}\nlogs --until 2000-01-01T00:00:00Z R`],
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
    ['runs beside the command', `exec R echo hi`],
    ['has its exit code', `exec R sh -c 'exit 9'`],
    ['has standard input with -i', `exec -i R cat\nexec R cat`],
    ['has the environment and more', `${USED}\nexec -e B=2 R sh -c 'echo $A $B $IMAGE'`],
    ['has another user', `exec -u app R id -u\nexec -u 5:6 R sh -c 'id -u; id -g'`],
    ['has the user of the container', `${USED}\nexec R id -u`],
    ['has another working directory', `exec -w /etc R pwd\nexec R pwd`],
    ['of what is missing is 127', `~exec R nosuch`],
    ['of what can’t be executed is 126', `~exec R /etc/passwd`],
    [
      'runs in the background',
      `~exec -d R sh -c 'echo x > /tmp/said'\nexec R sh -c 'while ! [ -s /tmp/said ]; do sleep 0.1; done; cat /tmp/said'`,
    ],
    ['has all capabilities with --privileged', `exec --privileged R grep CapEff /proc/self/status`],
    ['sees the processes of the container', `exec R sh -c 'ps | grep -c "[s]leep 3210"'`],
  ],
}
