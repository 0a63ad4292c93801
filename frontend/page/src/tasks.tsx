import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { User } from "./auth-fetch";
import { ConflictDialog } from "./conflict";
import { session, signOut } from "./session";
import { useStore } from "./store";
import type { Filter } from "./task-api";
import { shown, type TaskList } from "./task-list";
import { TaskRow } from "./task-row";

const FILTERS: Filter[] = ["all", "pending", "completed"];
const NO_TASKS = {
	all: "No tasks yet. Write the first one above.",
	pending: "Nothing is left to do.",
	completed: "Nothing is completed yet.",
};

// The filter is in the page's address, so that reload and the back button work.
function filterOfAddress(): Filter {
	const name = location.hash.slice(1) as Filter;
	return FILTERS.includes(name) ? name : "all";
}

// Arrow keys move the focus to the same control of the next or previous row.
function onArrow(event: KeyboardEvent) {
	const { key, target } = event;
	if (!(target instanceof HTMLElement) || !target.dataset.nav
			|| !/^(Arrow(Up|Down)|Home|End)$/.test(key))
		return;
	if (target.matches("input[type=text]") && !key.startsWith("Arrow"))
		return;
	const kind = target.dataset.nav === "new" ? "title" : target.dataset.nav;
	const stops = [...document.querySelectorAll<HTMLElement>(
		`[data-nav=new], [data-nav=${kind}]`)];
	const last = stops.length - 1;
	const here = stops.indexOf(target);
	const to = key === "Home" ? Math.min(1, last) : key === "End" ? last
		: Math.max(0, Math.min(last, here + (key === "ArrowDown" ? 1 : -1)));
	event.preventDefault();
	stops[to]?.focus();
}

export function Tasks({ list, user }: { list: TaskList; user: User }) {
	const state = useStore(list.store);
	const { switched } = useStore(session);
	const [leaving, setLeaving] = useState(false);
	const input = useRef<HTMLInputElement>(null);
	const { filter, next, notice } = state;
	const rows = list.visible();
	// The pages that are not loaded may have one.
	const someCompleted = next || state.rows.some((row) => shown(row).completed);

	useEffect(() => {
		const show = () => list.show(filterOfAddress());
		show();
		addEventListener("hashchange", show);
		return () => removeEventListener("hashchange", show);
	}, [list]);

	useLayoutEffect(() => {
		if (!state.rows.some((row) => row.editing))
			input.current?.focus();
	}, [list]);

	useEffect(() => {
		const onKey = (event: KeyboardEvent) => {
			const typing = (event.target as Element).matches?.(
				"input:not([type=checkbox]), textarea");
			if (event.key === "z" && (event.ctrlKey || event.metaKey)
					&& !typing && list.store.get().undo) {
				event.preventDefault();
				list.undo();
			}
		};
		addEventListener("keydown", onKey);
		return () => removeEventListener("keydown", onKey);
	}, [list]);

	function add(event: SubmitEvent) {
		event.preventDefault();
		list.add();
		if (filter === "completed")
			location.hash = "all";
		input.current?.focus();
	}

	async function leaveAccount(anyway = false) {
		setLeaving(true);
		const failed = await signOut(anyway);
		setLeaving(false);
		if (failed)
			list.notify("error", failed.text, failed.anyway
				? { label: "Sign out anyway", run: () => leaveAccount(true) }
				: undefined);
	}

	// Moves the focus to the next row, or from the last row to the one before.
	function focusAfter(index: number, kind: string) {
		const stops = [...document.querySelectorAll<HTMLElement>(
			`[data-nav=${kind}]`)];
		(stops[index + 1] ?? stops[index - 1] ?? input.current)?.focus();
	}

	return (
		<div class="app" onKeyDown={onArrow}>
			<div class="scroll">
			<div class="column">
			<header>
				<h1><img src="/icon.svg" alt="" />Tasks</h1>
				<p class="who">
					<span title={user.email}>{user.email}</span>
					<button type="button" class="quiet"
						onClick={() => leaveAccount()} disabled={leaving}>
						{leaving ? "One moment…" : "Sign out"}
					</button>
				</p>
			</header>
			<main>
				{switched && <p class="notice info" role="status">
					You are now signed in as {user.email}; these are your tasks.
					<button type="button" class="quiet" onClick={() =>
						session.set({ switched: false })}>OK</button>
				</p>}

				<form class="add" onSubmit={add}>
					<label for="new" class="unseen">New task</label>
					<input id="new" type="text" ref={input} data-nav="new"
						placeholder="What is to be done?" autocomplete="off"
						dir="auto" value={state.draft}
						onInput={(event) => list.setDraft(
							event.currentTarget.value)}
						onKeyDown={(event) => {
							if (event.key === "Escape")
								list.setDraft("");
						}} />
					<button class="main">Add</button>
				</form>

				<nav aria-label="Show">
					{FILTERS.map((name) => <a key={name} href={`#${name}`}
						aria-current={name === filter ? "page" : undefined}>
						{name[0]!.toUpperCase() + name.slice(1)}</a>)}
				</nav>

				<div role="alert">
					{notice?.kind === "error" && <Message list={list} />}
				</div>
				<div role="status">
					{notice?.kind === "info" && <Message list={list} />}
				</div>

				<ul class="tasks" aria-label="Tasks" aria-busy={state.loading}>
					{rows.map((row, index) => <TaskRow key={row.key} row={row}
						list={list}
						moveOn={(kind) => focusAfter(index, kind)} />)}
				</ul>
				{!rows.length && <p class="none">
					{state.loading ? "Loading…" : NO_TASKS[filter]}
				</p>}
				<p class="below">
					{next && <button type="button" onClick={() => list.more()}
						disabled={state.loading}>
						{state.loading ? "Loading…" : "Load more"}
					</button>}
					{someCompleted && <button type="button" class="quiet"
						onClick={() => list.clearCompleted()}>
						Clear completed
					</button>}
				</p>
			</main>
			</div>
			</div>
			<div class="undo column" role="status"
				onMouseEnter={() => list.hold()}
				onMouseLeave={() => list.resume()}
				onFocusIn={() => list.hold()}
				onFocusOut={() => list.resume()}>
				{state.undo && <p>
					<span>{state.undo}</span>
					<button type="button" title="Ctrl+Z" onClick={() => {
						list.undo();
						input.current?.focus();
					}}>Undo</button>
				</p>}
			</div>
			{state.conflict && <ConflictDialog conflict={state.conflict} />}
		</div>
	);
}

function Message({ list }: { list: TaskList }) {
	const { kind, text, action } = list.store.get().notice!;
	return (
		<p class={`notice ${kind}`}>
			<span>{text}</span>
			{action && <button type="button" onClick={() => {
				list.dismiss();
				action.run();
			}}>{action.label}</button>}
			<button type="button" class="quiet" onClick={() => list.dismiss()}>
				Dismiss</button>
		</p>
	);
}
