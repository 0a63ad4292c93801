import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { shown, type Row, type TaskList } from "./task-list";

interface Props {
	row: Row;
	list: TaskList;
	// Moves the focus to the same control of another row, before this one goes.
	moveOn(kind: string): void;
}

export function TaskRow({ row, list, moveOn }: Props) {
	const { title, description, completed } = shown(row);
	const editing = row.editing !== null;
	const button = useRef<HTMLButtonElement>(null);
	const wasEditing = useRef(false);

	// Gives the focus back to the button that began the editing.
	useLayoutEffect(() => {
		if (!editing && wasEditing.current)
			button.current?.focus();
		wasEditing.current = editing;
	}, [editing]);

	if (editing)
		return <li class="task"><Editor row={row} list={list} /></li>;

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

function Editor({ row, list }: { row: Row; list: TaskList }) {
	const [wrong, setWrong] = useState<string | null>(null);
	const form = useRef<HTMLFormElement>(null);
	const input = useRef<HTMLInputElement>(null);
	const { title, description } = row.editing!;
	const id = (name: string) => `${name}-${row.key}`;

	useLayoutEffect(() => {
		input.current?.focus();
		input.current?.select();
		form.current?.scrollIntoView({ block: "nearest" });
	}, []);

	return (
		<form class="edit" ref={form} onSubmit={(event) => {
			event.preventDefault();
			setWrong(list.save(row));
		}} onKeyDown={(event) => {
			// Enter and Esc belong to the input method while it composes a word.
			if (event.isComposing)
				return;
			if (event.key === "Escape") {
				event.preventDefault();
				list.cancel(row);
			} else if (event.key === "Enter"
					&& (event.ctrlKey || event.metaKey)) {
				event.preventDefault();
				setWrong(list.save(row));
			}
		}}>
			<label for={id("title")}>Title</label>
			<input id={id("title")} type="text" dir="auto" ref={input}
				autocomplete="off" value={title} aria-describedby={id("wrong")}
				onInput={(event) => list.type(row, {
					title: event.currentTarget.value })} />
			<label for={id("more")}>Description</label>
			<textarea id={id("more")} rows={3} dir="auto"
				aria-describedby={id("wrong")} value={description ?? ""}
				onInput={(event) => list.type(row, {
					description: event.currentTarget.value || null })} />
			<p id={id("wrong")} class="problem" role="alert">{wrong}</p>
			<p class="choices">
				<button class="main">Save</button>
				<button type="button" onClick={() => list.cancel(row)}>
					Cancel</button>
			</p>
		</form>
	);
}
