import type { Command } from 'commander'
import { DrayError } from '#oci/error.ts'
import type { ContainerOptions } from '#runner/options.ts'
import { type ContainerFlags, FLAGS } from './container-flags.ts'
import { checkIdFile } from './cidfile.ts'
import { say } from './output/print.ts'
import { keyValues } from './key-values.ts'
import { readLines } from './read-lines.ts'

/** The flags that `create` and `run` have in common. */
export function withContainerFlags(command: Command): Command {
  for (const flag of FLAGS) command.addOption(flag)
  return command
}

/** What programs write to that keep nothing. */
const IN_MEMORY = ['/run:exec', '/tmp:exec,mode=1777', '/var/tmp:exec,mode=1777']

/** The options that flags stand for. @throws USAGE */
export async function containerOptions(
  image: string,
  command: readonly string[],
  flags: ContainerFlags,
): Promise<ContainerOptions> {
  const parse = await import('#runner/parse.ts')
  if (flags.rm && flags.restart && flags.restart !== 'no') {
    throw new DrayError('USAGE', '--rm and --restart exclude each other')
  }
  if (flags.replace && !flags.name) {
    throw new DrayError('USAGE', '--replace needs --name: whose name is it to take?')
  }
  if (!flags.hosts && flags.addHost.length > 0) {
    throw new DrayError('USAGE', '--no-hosts and --add-host exclude each other: leave out one')
  }
  checkPublished(flags)
  checkIdFile(flags.cidfile)
  const rates = [
    ...flags.deviceReadBps.map((text) => parse.parseDeviceRate('throttleReadBpsDevice', text)),
    ...flags.deviceWriteBps.map((text) => parse.parseDeviceRate('throttleWriteBpsDevice', text)),
    ...flags.deviceReadIops.map((text) => parse.parseDeviceRate('throttleReadIOPSDevice', text)),
    ...flags.deviceWriteIops.map((text) => parse.parseDeviceRate('throttleWriteIOPSDevice', text)),
  ]
  return {
    image,
    // What a script leaves empty is not given, as docker and podman have it.
    name: flags.name || undefined,
    command,
    entrypoint: optional(flags.entrypoint, parse.parseEntrypoint),
    env: [...(await readLines(flags.envFile)), ...flags.env],
    hasHostEnv: flags.envHost,
    labels: keyValues('label', [...(await readLines(flags.labelFile)), ...flags.label]),
    annotations: keyValues('annotation', flags.annotation),
    workdir: flags.workdir || undefined,
    user: flags.user,
    umask: flags.umask,
    groups: flags.groupAdd,
    init: flags.init,
    hostname: flags.hostname || undefined,
    domainname: flags.domainname || undefined,
    ...parse.parseNetworks(
      flags.network.length > 0 ? flags.network : [parse.defaultNetwork(process.env.PATH)],
      { ip: flags.ip, ip6: flags.ip6, mac: flags.macAddress, aliases: flags.networkAlias },
    ),
    ports: flags.publish.flatMap(parse.parsePort),
    publishAll: flags.publishAll,
    publishBy: optional(flags.publishBy, parse.parsePublishBy),
    exposedPorts: flags.expose.flatMap(parse.parseExposed),
    ...parse.mergeMounts([
      ...flags.volume.map(parse.parseVolumeFlag),
      ...flags.mount.map(parse.parseMountFlag),
      ...flags.tmpfs.map(parse.parseTmpfsFlag),
      ...(flags.tz === undefined ? [] : [parse.parseTimeZone(flags.tz)]),
      ...(flags.readOnly && flags.readOnlyTmpfs ? IN_MEMORY.map(parse.parseTmpfsFlag) : []),
    ]),
    volumesFrom: flags.volumesFrom,
    shmSize: optional(flags.shmSize, parse.parseBytes),
    readOnly: flags.readOnly,
    tty: flags.tty,
    interactive: flags.interactive,
    memory: optional(flags.memory, parse.parseMemory),
    memorySwap: optional(flags.memorySwap, parse.parseMemorySwap),
    memoryReservation: optional(flags.memoryReservation, parse.parseBytes),
    memorySwappiness: flags.memorySwappiness === -1 ? undefined : flags.memorySwappiness,
    oomKillDisable: flags.oomKillDisable,
    blkioWeight: optional(flags.blkioWeight, parse.parseWeight),
    deviceWeights:
      flags.blkioWeightDevice.length > 0
        ? flags.blkioWeightDevice.map(parse.parseDeviceWeight)
        : undefined,
    deviceRates: rates.length > 0 ? rates : undefined,
    cpus: optional(flags.cpus, parse.parseCpus),
    cpuPeriod: flags.cpuPeriod,
    cpuQuota: flags.cpuQuota,
    cpuShares: optional(flags.cpuShares, parse.parseCpuShares),
    cpusetCpus: optional(flags.cpusetCpus, parse.parseCpuset),
    cpusetMems: optional(flags.cpusetMems, parse.parseCpuset),
    pidsLimit: optional(flags.pidsLimit, parse.parsePidsLimit),
    ulimits: flags.ulimit.map(parse.parseUlimit),
    oomScoreAdj: flags.oomScoreAdj,
    cgroupManager: flags.cgroupManager,
    cgroupParent: optional(flags.cgroupParent, parse.parseCgroupParent),
    capAdd: flags.capAdd.map(parse.parseCapability),
    capDrop: flags.capDrop.map(parse.parseCapability),
    privileged: flags.privileged,
    ...(await parse.parseSecurityOptions(flags.securityOpt)),
    devices: flags.device.filter((text) => !parse.isCdiName(text)).map(parse.parseDevice),
    cdiDevices: [
      ...flags.device.filter(parse.isCdiName),
      ...(optional(flags.gpus, parse.parseGpus) ?? []),
    ],
    deviceRules: flags.deviceCgroupRule.map(parse.parseDeviceRule),
    sysctls: Object.fromEntries(flags.sysctl.map(parse.parseSysctl)),
    dns: flags.dns.map(parse.parseNameServer),
    dnsSearch: flags.dnsSearch.map(parse.parseResolverWord),
    dnsOptions: flags.dnsOption.map(parse.parseResolverWord),
    extraHosts: flags.addHost.map(parse.parseExtraHost),
    keepsHosts: !flags.hosts || undefined,
    pid: optional(flags.pid, parse.parseSharedNamespace),
    ipc: optional(flags.ipc, parse.parseIpc),
    uts: optional(flags.uts, parse.parseSharedNamespace),
    cgroupns: flags.cgroupns,
    userns: parse.parseUserNamespace(flags.userns, flags.uidmap, flags.gidmap),
    autoRemove: flags.rm,
    restart: optional(flags.restart || undefined, parse.parseRestartPolicy),
    stopSignal: flags.stopSignal || undefined,
    stopTimeout: flags.stopTimeout,
    timeout: flags.timeout,
    health: parse.parseHealthFlags(flags),
    log: parse.parseLogOptions(flags.logDriver, flags.logOpt),
  }
}

/** Ports can be published where the container has a network of its own only. @throws USAGE */
function checkPublished({ network: [mode = ''], publish, publishAll }: ContainerFlags): void {
  if (publish.length === 0 && !publishAll) return
  if (mode.startsWith('container:')) {
    const message = `--network ${mode} excludes -p: publish the ports with that container`
    throw new DrayError('USAGE', message)
  }
  if (mode === 'host' || mode === 'none') {
    say(
      `dray: -p leads nowhere with --network ${mode}${mode === 'host' ? ", whose ports are the host's own" : ''}`,
    )
  }
}

function optional<T>(text: string | undefined, parse: (text: string) => T): T | undefined {
  return text === undefined ? undefined : parse(text)
}
