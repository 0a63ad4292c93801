import { useLayoutEffect, useRef } from "preact/hooks";
import type { Text } from "./task-api";
import type { Conflict } from "./task-list";

function Version({ name, text }: { name: string; text: Text }) {
	return (
		<section aria-label={name} tabIndex={0}>
			<h3>{name}</h3>
			<p class="title" dir="auto">{text.title}</p>
			{text.description
				&& <p class="more" dir="auto">{text.description}</p>}
		</section>
	);
}

// Asks which version to keep of a task that was changed elsewhere while it was
// edited here.
export function ConflictDialog({ conflict }: { conflict: Conflict }) {
	const dialog = useRef<HTMLDialogElement>(null);
	useLayoutEffect(() => {
		const shown = dialog.current;
		shown?.showModal();
		// close() gives the focus back.
		return () => shown?.close();
	}, []);
	const { mine, theirs, choose } = conflict;
	return (
		<dialog ref={dialog} aria-labelledby="conflict" onCancel={(event) => {
			event.preventDefault();
			choose("edit");
		}}>
			<h2 id="conflict">This task was changed elsewhere</h2>
			<p>While you edited it, another version was saved.</p>
			<Version name="Your version" text={mine} />
			<Version name="The other version" text={theirs} />
			<p class="choices">
				<button type="button" class="main"
					onClick={() => choose("mine")}>Keep mine</button>
				<button type="button"
					onClick={() => choose("theirs")}>Take the other</button>
				{/* It has the focus, so that an Enter for the editor
				    discards no version. */}
				<button type="button" autofocus
					onClick={() => choose("edit")}>Edit again</button>
			</p>
		</dialog>
	);
}
