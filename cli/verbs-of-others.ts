import { DrayError } from '#oci/error.ts'

const BUILD =
  'buildah, buildkit and docker build images, which dray load and dray push oci:DIR take; dray import makes one of a root file system'

/** What docker, podman, skopeo and crane have as verbs of their own, and where that is here. */
const VERBS: ReadonlyMap<string, string> = new Map(
  Object.entries({
    build: BUILD,
    buildx: BUILD,
    catalog: 'dray remote repositories HOST lists those of a registry',
    compose:
      'containers of one network find one another by name: dray network create app, dray run --network app',
    config: 'dray remote config IMAGE prints that of an image',
    delete:
      'dray remote rm removes a tag or manifest from a registry, dray rmi from the local store',
    digest: 'dray remote digest IMAGE prints what a tag means in a registry',
    discover: 'dray remote referrers IMAGE lists what refers to an image',
    'list-tags': 'dray remote tags NAME lists those of a repository',
    ls: 'dray remote tags NAME lists those of a repository, dray images those of the local store, dray ps containers',
    manifest: 'dray remote manifest IMAGE prints that of an image',
    search: 'no registry is searched: dray remote tags NAME lists the tags of a repository',
    sync: 'dray copy --all-tags copies a repository',
    untag: 'dray rmi NAME:TAG takes a name away',
    validate: 'dray pull verifies every byte, and dray system check what is in the local store',
  }),
)

/** @throws USAGE for a verb that others have, with what to type here */
export function refuseVerbOfOthers(verb: string): void {
  const advice = VERBS.get(verb)
  if (advice !== undefined) throw new DrayError('USAGE', `there is no dray ${verb}: ${advice}`)
}
