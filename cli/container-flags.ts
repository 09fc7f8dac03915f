import { InvalidArgumentError, Option } from 'commander'
import type { CgroupManager } from '#runner/cgroup-path.ts'
import type { HealthFlags } from '#runner/health/parse.ts'
import { ignored, refused } from './flags-of-others.ts'
import { collect, count, seconds } from './commands/options.ts'

/** How a container is to be run, as typed. */
export interface ContainerFlags extends HealthFlags {
  readonly name?: string
  readonly replace?: true
  readonly interactive?: true
  readonly tty?: true
  readonly env: readonly string[]
  readonly envFile: readonly string[]
  readonly envHost?: true
  readonly umask?: number
  readonly label: readonly string[]
  readonly labelFile: readonly string[]
  readonly annotation: readonly string[]
  readonly workdir?: string
  readonly user?: string
  readonly groupAdd: readonly string[]
  readonly entrypoint?: string
  readonly init?: true
  readonly rm?: true
  readonly restart?: string
  readonly stopSignal?: string
  readonly stopTimeout?: number
  readonly logDriver?: string
  readonly logOpt: readonly string[]
  readonly cidfile?: string
  readonly runtime?: string
  readonly volume: readonly string[]
  readonly volumesFrom: readonly string[]
  readonly mount: readonly string[]
  readonly tmpfs: readonly string[]
  readonly shmSize?: string
  readonly readOnly?: true
  readonly readOnlyTmpfs?: true
  readonly tz?: string
  readonly timeout?: number
  readonly device: readonly string[]
  readonly deviceCgroupRule: readonly string[]
  readonly gpus?: string
  readonly network: readonly string[]
  readonly ip?: string
  readonly ip6?: string
  readonly macAddress?: string
  readonly networkAlias: readonly string[]
  readonly publish: readonly string[]
  readonly publishAll?: true
  readonly publishBy?: string
  readonly expose: readonly string[]
  readonly hostname?: string
  readonly domainname?: string
  readonly dns: readonly string[]
  readonly dnsSearch: readonly string[]
  readonly dnsOption: readonly string[]
  readonly addHost: readonly string[]
  readonly hosts: boolean
  readonly memory?: string
  readonly memorySwap?: string
  readonly memoryReservation?: string
  readonly memorySwappiness?: number
  readonly oomKillDisable?: true
  readonly blkioWeight?: string
  readonly blkioWeightDevice: readonly string[]
  readonly deviceReadBps: readonly string[]
  readonly deviceWriteBps: readonly string[]
  readonly deviceReadIops: readonly string[]
  readonly deviceWriteIops: readonly string[]
  readonly cpus?: string
  readonly cpuPeriod?: number
  readonly cpuQuota?: number
  readonly cpuShares?: string
  readonly cpusetCpus?: string
  readonly cpusetMems?: string
  readonly pidsLimit?: string
  readonly ulimit: readonly string[]
  readonly oomScoreAdj?: number
  readonly cgroupParent?: string
  readonly cgroupManager?: CgroupManager
  readonly capAdd: readonly string[]
  readonly capDrop: readonly string[]
  readonly privileged?: true
  readonly securityOpt: readonly string[]
  readonly sysctl: readonly string[]
  readonly pid?: string
  readonly ipc?: string
  readonly uts?: string
  readonly cgroupns?: 'host' | 'private'
  readonly userns?: string
  readonly uidmap: readonly string[]
  readonly gidmap: readonly string[]
}

/** What `update` has, too. */
export const HEALTH_FLAGS: readonly Option[] = [
  one(
    '--health-cmd <command>',
    'line of the shell that ends with 0 when the container is well, or ["a", "program"]',
  ),
  one('--health-interval <duration>', 'between two checks, such as 30s (default: 30s)'),
  one('--health-timeout <duration>', 'a check that takes longer has failed (default: 30s)'),
  one('--health-retries <number>', 'failures in a row that make it unhealthy (default: 3)', number),
  one('--health-start-period <duration>', 'failures that early do not count (default: 0s)'),
  one('--health-start-interval <duration>', 'between two checks that early (default: 5s)'),
  one('--no-healthcheck', 'do not check its health, whatever the image says'),
]

/** The flags that `create` and `run` have in common, in the order of the help. */
export const FLAGS: readonly Option[] = [
  one('--name <name>', 'name of the container (default: one that is made up)'),
  one('--replace', 'remove the one that has the name, running or not'),
  one('-i, --interactive', 'hand standard input to the container'),
  one('-t, --tty', 'give it a terminal'),
  many('-e, --env <K[=V]>', 'environment variable; K alone takes the value from here'),
  many('--env-file <file>', 'environment variables, one a line'),
  one('--env-host', 'also all variables from here that neither the image nor -e has'),
  many('-l, --label <K=V>', 'label'),
  many('--label-file <file>', 'labels, one a line'),
  many('--annotation <K=V>', 'annotation, for the OCI runtime and its hooks'),
  one('-w, --workdir <dir>', 'working directory'),
  one('-u, --user <user[:group]>', 'names of the image, or numbers'),
  many('--group-add <group>', 'one more group of the user'),
  one('--umask <mode>', 'what new files lack of their modes, such as 0027', umask),
  one(
    '--entrypoint <program>',
    'program to run instead of the entrypoint of the image, or a JSON list of it and arguments',
  ),
  one('--init', 'run a small first process, which reaps what others leave (catatonit or tini)'),
  one('--rm', 'remove the container when it has ended'),
  one(
    '--restart <policy>',
    'start it again when it has ended: no, on-failure[:N], always, unless-stopped (default: no)',
  ),
  one('--stop-signal <signal>', 'what asks it to stop (default: that of the image, else TERM)'),
  one('--stop-timeout <seconds>', 'how long it may take to stop (default: 10)', seconds),
  one('--timeout <seconds>', 'kill it when it has run that long', count),
  one('--log-driver <driver>', 'k8s-file, journald or none (default: k8s-file)'),
  many('--log-opt <key=value>', 'max-size=16m, max-file=NUMBER (conmon 2.2), tag=TEXT'),
  ...HEALTH_FLAGS,
  one('--cidfile <file>', "write the container's id to a new file"),
  one('--runtime <program>', 'OCI runtime (default: crun or runc, whichever works here)'),

  many('-v, --volume <[host|name:]dir[:ro]>', 'a directory of the host, or a volume, inside'),
  many(
    '--mount <type=...,target=...>',
    'the same in words: type=bind|volume|tmpfs,source=,target=,readonly',
  ),
  many('--volumes-from <container[:ro]>', 'the volumes of another container, in the same places'),
  many('--tmpfs <dir[:options]>', 'an empty file system in memory'),
  one('--shm-size <size>', 'size of /dev/shm (default: 64m)'),
  one('--read-only', 'refuse writes to the root file system'),
  one('--read-only-tmpfs', 'with it, an empty file system in memory at /run, /tmp and /var/tmp'),
  one('--tz <zone>', 'time zone, such as Europe/Berlin, or local for that of the host'),
  refused(
    '--storage-opt <option>',
    'what containers write has no limit of its own: --read-only and --tmpfs /dir:size=1g give it one, or a quota of the file system under the store',
  ),
  many(
    '--device <host[:inside][:rwm]>',
    'a device of the host, or one of a vendor by its name in /etc/cdi, such as nvidia.com/gpu=0',
  ),
  many(
    '--device-cgroup-rule <rule>',
    'devices that it may use once they are there, such as "c 189:* rwm"',
  ),
  one('--gpus <gpus>', 'all, a number, or device=0,1: the same as --device nvidia.com/gpu=...'),

  many(
    '--network <network>',
    'bridge, none, host, container:NAME, pasta, slirp4netns, or a network: NAME or NAME:ip=ADDRESS,alias=NAME (default: the first of bridge, pasta, slirp4netns and none that the host can make)',
  ),
  refused(
    '--link <container>',
    'containers of a network find one another by name: dray network create app, and --network app for both',
  ),
  many('--network-alias <name>', 'one more name on its networks'),
  one('--ip <address>', 'its address on its network (default: one that is free)'),
  one('--ip6 <address>', 'its address of IPv6 there, if the network has it'),
  one('--mac-address <address>', 'the address of its interface there'),
  many(
    '-p, --publish <[[ip:]host:]port[/udp]>',
    'a port of the host that leads to one inside, or ranges of them; 8000-8010:80 takes one that is free',
  ),
  one('-P, --publish-all', 'publish what the image exposes, at ports that are free'),
  one(
    '--publish-by <kernel|proxy>',
    "who leads published ports: proxy, and the host's rules for input decide, or kernel, and those for forward do (default: proxy where the host drops input by default, else kernel)",
  ),
  many('--expose <port[-port][/udp]>', 'a port that -P publishes, too'),
  one('-h, --hostname <name>', 'host name inside'),
  one('--domainname <name>', 'domain of the host name'),
  many('--dns <address>', 'name server'),
  many('--dns-search <domain>', 'where names without a dot are looked up'),
  many('--dns-option <option>', 'option of the resolver'),
  many('--add-host <name:address>', 'line of /etc/hosts'),
  one('--no-hosts', 'leave /etc/hosts as it is in the image'),

  one('-m, --memory <size>', 'memory limit, such as 512m'),
  one('--memory-swap <size>', 'limit of memory and swap together; -1 for none'),
  one('--memory-reservation <size>', 'memory to keep when the host runs short'),
  one(
    '--memory-swappiness <number>',
    'how willingly its memory is swapped out, 0 to 100 (cgroup v1)',
    swappiness,
  ),
  one('--oom-kill-disable', 'wait for memory at the limit of --memory (cgroup v1)'),
  one('--blkio-weight <weight>', 'share of disks against others, 10 to 1000 (scheduled by BFQ)'),
  many('--blkio-weight-device <device:weight>', 'the same for one disk, such as /dev/sda:500'),
  many('--device-read-bps <device:rate>', 'bytes a second, such as /dev/sda:10mb'),
  many('--device-write-bps <device:rate>', 'the same for writes'),
  many('--device-read-iops <device:rate>', 'reads a second, such as /dev/sda:1000'),
  many('--device-write-iops <device:rate>', 'the same for writes'),
  one('--cpus <number>', 'CPU limit, such as 1.5'),
  one('--cpu-period <microseconds>', 'what --cpu-quota counts in (default: 100000)', cpuPeriod),
  one(
    '--cpu-quota <microseconds>',
    'CPU time in each period, the same as --cpus; -1 for no limit',
    cpuQuota,
  ),
  one('-c, --cpu-shares <number>', 'weight against others when CPUs are short'),
  one('--cpuset-cpus <list>', 'CPUs to run on, such as 0-2,4'),
  one('--cpuset-mems <list>', 'memory nodes to take from'),
  one('--pids-limit <number>', 'most processes and threads (default: 2048)'),
  many('--ulimit <name=soft[:hard]>', 'limit of each process, such as nofile=1024:2048'),
  one('--oom-score-adj <number>', 'how willingly the kernel kills it, -1000 to 1000', oomScore),
  one('--cgroup-parent <path>', 'cgroup to be put below (default: /dray), or slice (dray.slice)'),
  one('--cgroup-manager <manager>', 'who makes its cgroup: cgroupfs, without anybody, or systemd')
    .choices(['cgroupfs', 'systemd'] satisfies readonly CgroupManager[])
    .env('DRAY_CGROUP_MANAGER'),

  many('--cap-add <capability>', 'one more capability, or ALL'),
  many('--cap-drop <capability>', 'one capability less, or ALL'),
  ignored('--disable-content-trust'),
  one('--privileged', 'everything that root on the host may do'),
  many(
    '--security-opt <option>',
    'seccomp=FILE|unconfined, no-new-privileges[=false], systempaths=unconfined',
  ),
  many('--sysctl <name=value>', 'kernel parameter of its namespaces'),
  one('--pid <mode>', 'whose processes it sees: host, or container:NAME (default: its own)'),
  one(
    '--ipc <mode>',
    'whose shared memory it sees: shareable, private, host, container:NAME, or none, without /dev/shm (default: shareable, its own, which container:NAME leads others to)',
  ),
  one('--uts <mode>', 'whose host name it has: host (default: its own)'),
  one('--cgroupns <mode>', 'whose cgroups it sees: host, or private (default: private)').choices([
    'host',
    'private',
  ]),
  one(
    '--userns <mode>',
    'whose user ids it has: host, or auto[:size=N] for some of its own (default: host)',
  ),
  many('--uidmap <inside:host:size>', 'user ids of its own, and which of the host they are'),
  many('--gidmap <inside:host:size>', 'the same for groups (default: as --uidmap)'),
]

function one(flags: string, description: string, parse?: (text: string) => unknown): Option {
  const option = new Option(flags, description)
  return parse === undefined ? option : option.argParser(parse)
}

function many(flags: string, description: string): Option {
  return new Option(flags, `${description} (repeatable)`).argParser(collect).default([], '')
}

function umask(text: string): number {
  if (/^0?[0-7]{1,3}$/.test(text)) return Number.parseInt(text, 8)
  throw new InvalidArgumentError('write an octal number, such as 0022')
}

function oomScore(text: string): number {
  if (/^-?\d{1,4}$/.test(text) && Math.abs(Number(text)) <= 1000) return Number(text)
  throw new InvalidArgumentError('write a number from -1000 to 1000')
}

/** -1 is the host's, as docker has it. */
function swappiness(text: string): number {
  if (text === '-1') return -1
  if (/^\d{1,3}$/.test(text) && Number(text) <= 100) return Number(text)
  throw new InvalidArgumentError('write a number from 0 to 100')
}

/** What the kernel takes. */
export function cpuPeriod(text: string): number {
  if (/^\d{4,7}$/.test(text) && Number(text) >= 1000 && Number(text) <= 1_000_000)
    return Number(text)
  throw new InvalidArgumentError('write microseconds, from 1000 to 1000000')
}

export function cpuQuota(text: string): number {
  if (text === '-1' || text === '0') return -1
  if (/^\d{4,12}$/.test(text) && Number(text) >= 1000) return Number(text)
  throw new InvalidArgumentError('write microseconds, 1000 or more, or -1 for no limit')
}

function number(text: string): number {
  if (/^-?\d{1,9}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('write a whole number')
}
