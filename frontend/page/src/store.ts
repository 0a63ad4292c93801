// State that components watch.

import { useEffect, useReducer } from "preact/hooks";

export interface Store<T> {
	get(): T;
	set(change: Partial<T>): void;
	watch(listener: () => void): () => void;
}

export function createStore<T extends object>(initial: T): Store<T> {
	let state = initial;
	const listeners = new Set<() => void>();
	return {
		get: () => state,
		set(change) {
			state = { ...state, ...change };
			for (const listener of [...listeners])
				listener();
		},
		watch(listener) {
			listeners.add(listener);
			return () => listeners.delete(listener);
		},
	};
}

export function useStore<T extends object>(store: Store<T>): T {
	const [, rerender] = useReducer((n: number) => n + 1, 0);
	useEffect(() => {
		rerender(0);
		return store.watch(() => rerender(0));
	}, [store]);
	return store.get();
}
