import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Editing, Row, TaskList } from "./task-list";

interface Props {
	row: Row;
	content: { title: string; description: string | null; completed: boolean };
	list: TaskList;
	editing: Editing | null;
	// Moves the focus to the same control of another row, as this one goes.
	moveOn(kind: string): void;
}

export function TaskRow({ row, content, list, editing, moveOn }: Props) {
	const { title, description, completed } = content;
	const button = useRef<HTMLButtonElement>(null);
	const wasEditing = useRef(false);

	// Back to where the editing began.
	useLayoutEffect(() => {
		if (!editing && wasEditing.current)
			button.current?.focus();
		wasEditing.current = editing !== null;
	}, [editing !== null]);

	if (editing)
		return <li class="task"><Editor editing={editing} list={list} /></li>;

	const unsaved = !row.task || row.unsaved.length > 0;
	function remove(kind: string) {
		moveOn(kind);
		list.remove([row]);
	}
	function toggle() {
		if (list.store.get().filter !== "all")
			moveOn("check");
		list.toggle(row);
	}
	return (
		<li class={`task${completed ? " completed" : ""}`} aria-busy={unsaved}
			onKeyDown={(event) => {
				if (event.key === "Delete")
					remove((event.target as HTMLElement).dataset.nav ?? "title");
			}}>
			<input type="checkbox" data-nav="check" checked={completed}
				aria-label={`Completed: ${title}`} onChange={toggle} />
			<button type="button" class="title" data-nav="title" ref={button}
				onClick={() => list.edit(row)}>
				<span class="unseen">Edit </span>
				<span class="text" dir="auto">{title}</span>
				{description && <span class="more" dir="auto">
					{description}</span>}
			</button>
			{unsaved && <span class="saving">Saving…</span>}
			<button type="button" class="delete" data-nav="delete"
				aria-label={`Delete ${title}`} title="Delete"
				onClick={() => remove("delete")}>×</button>
		</li>
	);
}

function Editor({ editing, list }: { editing: Editing; list: TaskList }) {
	const [problem, setProblem] = useState<string | null>(null);
	const input = useRef<HTMLInputElement>(null);

	useLayoutEffect(() => {
		input.current?.focus();
		input.current?.select();
	}, []);

	return (
		<form class="edit" onSubmit={(event) => {
			event.preventDefault();
			setProblem(list.save());
		}} onKeyDown={(event) => {
			// Not the Enter and Esc with which a word is composed.
			if (event.isComposing)
				return;
			if (event.key === "Escape") {
				event.preventDefault();
				list.cancel();
			} else if (event.key === "Enter"
					&& (event.ctrlKey || event.metaKey)) {
				event.preventDefault();
				setProblem(list.save());
			}
		}}>
			<label for="edit-title">Title</label>
			<input id="edit-title" type="text" dir="auto" ref={input}
				autocomplete="off" value={editing.title} aria-describedby="wrong"
				onInput={(event) => list.type({
					title: event.currentTarget.value })} />
			<label for="edit-more">Description</label>
			<textarea id="edit-more" rows={3} dir="auto"
				value={editing.description ?? ""} onInput={(event) => list.type({
					description: event.currentTarget.value || null })} />
			<p id="wrong" class="problem" role="alert">{problem}</p>
			<p class="choices">
				<button class="main">Save</button>
				<button type="button" onClick={() => list.cancel()}>
					Cancel</button>
			</p>
		</form>
	);
}
