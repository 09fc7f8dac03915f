import type { Store } from './store.ts'

/** Finds out about a store and its host once: the host doesn't change while a store is open. */
export function oncePerStore<T>(find: (store: Store) => Promise<T>): (store: Store) => Promise<T> {
  const found = new WeakMap<Store, Promise<T>>()
  return (store) => {
    const answer = found.get(store) ?? find(store)
    found.set(store, answer)
    return answer
  }
}
