/**
 * A process that makes one change in a bucket:
 * `node s3-process.ts <endpoint> <bucket> <prefix> <access key> <secret key> <number of the scenario>`.
 */
import { servicesOver } from './audit.ts'
import { openBucketStorage } from './s3-storage.ts'
import { SCENARIOS } from './scenarios.ts'

const [endpoint = '', bucket = '', prefix = '', accessKeyId = '', secretAccessKey = '', scenario] =
  process.argv.slice(2)
const credentials = { accessKeyId, secretAccessKey }
const storage = openBucketStorage({ endpoint, credentials, bucket, prefix })
await SCENARIOS[Number(scenario)]?.change.run(servicesOver(storage))
storage.store.close()
