import { type Digest, digestOf } from './digest.ts'

/**
 * The chainID of a stack of layers, lowest first: names the tree that applying them in this order gives
 * (image-spec, config.md "Layer ChainID"). Undefined for no layer.
 */
export function chainId(diffIds: readonly Digest[]): Digest | undefined {
  return chainIds(diffIds).at(-1)
}

/** The chainID after each layer of a stack, lowest first. */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = []
  for (const diffId of diffIds) {
    const below = chain.at(-1)
    chain.push(below === undefined ? diffId : digestOf(`${below} ${diffId}`))
  }
  return chain
}
