import { testBadInputs } from './bad-inputs.ts'
import { testBlobs } from './blobs.ts'
import { testDiscovery } from './discovery.ts'
import type { StartRegistry } from './fixture.ts'
import { testManifests } from './manifests.ts'
import { testRaces } from './races.ts'
import { testTags } from './tags.ts'
import { testUploads } from './uploads.ts'

/** Registers all tests that a registry must pass over HTTP, whatever it stores its content in. */
export function testRegistry(name: string, start: StartRegistry): void {
  testUploads(name, start)
  testBlobs(name, start)
  testManifests(name, start)
  testTags(name, start)
  testDiscovery(name, start)
  testRaces(name, start)
  testBadInputs(name, start)
}
