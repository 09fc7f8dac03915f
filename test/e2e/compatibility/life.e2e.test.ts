import { compareWithPodman } from './compare.ts'
import { LIFE } from './life.ts'
import { NETWORKS } from './networks.ts'
import { STATE } from './state.ts'

compareWithPodman({ ...LIFE, ...STATE, ...NETWORKS })
