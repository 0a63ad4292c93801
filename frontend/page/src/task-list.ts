// One user's tasks as the page shows them: what the server last answered, with
// the changes on top that it has not answered yet. A change that the server
// refuses is taken back, with a message.
//
// Writes to one task are sent one after the other. A write that waits for the
// network or the server waits in auth-fetch.ts.

import { type AuthFetch, UserChanged } from "./auth-fetch";
import { createStore } from "./store";
import { createTaskApi, problemOf, type Content, type Filter, type Page, type Task,
	type Text, type Version } from "./task-api";

export interface Row {
	// Does not change when a new task gets its id.
	key: string;
	// As the server last answered; null: the server does not have it yet.
	task: Task | null;
	// The ETag of `task`, if it is known.
	etag: string | null;
	// The content of a new task.
	first: Content;
	// The changes that the server has not answered yet, oldest first.
	unsaved: Partial<Content>[];
	editing: Editing | null;
	queue: Promise<void>;
	// The number of the newest list that was requested before the server last
	// answered with this task. An older list may lack a task that is there.
	loads: number;
}

export interface Editing extends Text {
	// The text when the editing began.
	base: Text;
}

export interface Conflict {
	mine: Text;
	theirs: Task;
	choose(choice: "mine" | "theirs" | "edit"): void;
}

export interface Notice {
	kind: "error" | "info";
	text: string;
	action?: { label: string; run(): void };
}

export interface ListState {
	filter: Filter;
	rows: Row[];
	loading: boolean;
	next: string | null;
	draft: string;
	conflict: Conflict | null;
	notice: Notice | null;
	// Text about the deletion that can be undone.
	undo: string | null;
}

const UNDO_MS = 8_000;
const UNDO_HELD_MS = 60_000;
const PAGE = 50;
const PAGE_MAX = 500;
const SIGN_OUT_MS = 3_000;

function quoted(title: string) {
	const letters = [...title];
	return `“${letters.length > 60 ? letters.slice(0, 60).join("") + "…" : title}”`;
}

export function shown(row: Row): Content {
	return Object.assign({}, row.task ?? row.first, ...row.unsaved);
}

const sameText = (a: Text, b: Text) =>
	a.title === b.title && a.description === b.description;

function newRow(key: string, task: Task | null, first: Content): Row {
	return { key, task, first, etag: null, unsaved: [], editing: null,
		queue: Promise.resolve(), loads: 0 };
}

export class TaskList {
	readonly store = createStore<ListState>({
		filter: "all", rows: [], loading: true, next: null, draft: "",
		conflict: null, notice: null, undo: null,
	});
	private readonly api;
	private readonly storage: string;
	private open = true;
	private loads = 0;
	// Deleted rows: not sent yet, and being sent; then the ids of the deleted
	// tasks, which a list that was requested before may still have.
	private undoable: Row[] = [];
	private deleting = new Set<Row>();
	private gone = new Set<string>();
	private undoTimer = 0;
	private creating = Promise.resolve();
	private asking: Promise<unknown> = Promise.resolve();

	constructor(private readonly user: string, private readonly auth: AuthFetch) {
		this.api = createTaskApi(user, (path, init) => {
			if (!this.open)
				throw new UserChanged();
			return auth.fetch(user, path, init);
		});
		this.storage = `todo:${user}`;
		this.restore();
	}

	// ---- what is not sent yet is kept over a reload, in this tab alone ----

	private restore() {
		const kept = JSON.parse(sessionStorage.getItem(this.storage) ?? "{}");
		this.store.set({ draft: kept.draft ?? "" });
		// With its old key, a task that was created before is not created twice.
		for (const { key, ...first } of kept.created ?? [])
			this.create(newRow(key, null, first));
		for (const id of kept.deleted ?? [])
			this.delete(newRow(id, { id } as Task, {} as Content));
	}

	private keep() {
		if (!this.open)
			return;
		const { draft, rows } = this.store.get();
		const created = rows.filter((row) => !row.task)
			.map((row) => ({ key: row.key, ...row.first })).reverse();
		// Also those that can still be undone: a browser may discard the page
		// without an event.
		const deleted = [...this.undoable, ...this.deleting]
			.flatMap((row) => row.task?.id ?? []);
		if (draft || created.length || deleted.length)
			sessionStorage.setItem(this.storage,
				JSON.stringify({ draft, created, deleted }));
		else
			sessionStorage.removeItem(this.storage);
	}

	// Sends all deletions, as the page is closed. restore() sends those again that
	// fail, if the tab comes back.
	sendOnLeave() {
		this.commit();
		for (const row of this.deleting)
			if (row.task)
				this.auth.fetchOnLeave(this.user, this.api.path(row.task.id),
					{ method: "DELETE" });
	}

	// True if closing the tab would lose a change, or a text that is being edited.
	get unsaved(): boolean {
		return this.store.get().rows.some(({ task, unsaved, editing }) =>
			!task || unsaved.length > 0
			|| editing && !sameText(editing, editing.base));
	}

	// Sends everything. Resolves to true once all is answered, or to false after
	// SIGN_OUT_MS.
	async settle(): Promise<boolean> {
		this.commit();
		const all = [...this.store.get().rows, ...this.deleting]
			.map((row) => row.queue);
		return Promise.race([
			Promise.all(all).then(() => true),
			new Promise<boolean>((resolve) =>
				setTimeout(resolve, SIGN_OUT_MS, false)),
		]);
	}

	// After this nothing is sent or shown; with forget, nothing is kept either.
	close(forget = false) {
		if (forget)
			sessionStorage.removeItem(this.storage);
		else
			this.keep();
		this.open = false;
		clearTimeout(this.undoTimer);
	}

	// ---- reading ----

	visible(): Row[] {
		const { rows, filter } = this.store.get();
		const hidden = new Set(this.gone);
		for (const row of [...this.undoable, ...this.deleting])
			hidden.add(row.task?.id ?? row.key);
		return rows.filter((row) => !hidden.has(row.task?.id ?? row.key)
			&& (filter === "all"
				|| shown(row).completed === (filter === "completed")));
	}

	show(filter: Filter) {
		this.store.set({ filter });
		return this.load(this.api.listPath(filter, PAGE), true);
	}

	more() {
		const { next } = this.store.get();
		return next ? this.load(next, false) : undefined;
	}

	// Loads as many tasks as are shown, which may have been changed elsewhere.
	refresh() {
		const { filter, rows } = this.store.get();
		const limit = Math.min(PAGE_MAX, Math.max(PAGE, rows.length));
		return this.load(this.api.listPath(filter, limit), true);
	}

	private async load(path: string, fromStart: boolean) {
		const load = ++this.loads;
		this.store.set({ loading: true });
		await this.report("The list could not be loaded", async () => {
			const { tasks, next } = await this.api.page(path);
			if (load !== this.loads)
				return;
			this.merge(tasks, fromStart);
			this.store.set({ next });
		}, { label: "Try again",
			run: () => fromStart ? this.refresh() : this.more() });
		if (load === this.loads)
			this.store.set({ loading: false });
	}

	private merge(tasks: Task[], fromStart: boolean) {
		const { rows } = this.store.get();
		const known = new Map(rows.map((row) => [row.task?.id, row]));
		const ids = new Set(tasks.map((task) => task.id));
		const kept = rows.filter((row) => !ids.has(row.task?.id ?? "")
			&& (!fromStart || !row.task || row.unsaved.length > 0
				|| row.editing || row.loads === this.loads));
		const listed = tasks.map((task) => {
			const row = known.get(task.id);
			if (!row)
				return newRow(task.id, task, task);
			// A list that was requested before a write may arrive after its answer.
			if (task.updated_at > row.task!.updated_at) {
				row.task = task;
				row.etag = null;
			}
			return row;
		});
		this.sort([...kept, ...listed]);
	}

	// Newest first. Ids are in order of creation; new tasks have no id yet.
	private sort(rows: Row[]) {
		const rank = (row: Row) => row.task?.id ?? "~";
		rows.sort((a, b) => rank(a) < rank(b) ? 1 : rank(a) > rank(b) ? -1 : 0);
		this.store.set({ rows });
	}

	// ---- writing ----

	notify(kind: Notice["kind"], text: string,
			action?: Notice["action"]) {
		this.store.set({ notice: { kind, text, action } });
	}

	// Shows a failure of `work` as a message, unless the list is closed.
	private async report(what: string, work: () => Promise<void>,
			action?: Notice["action"]) {
		try {
			await work();
		} catch (error) {
			if (this.open && !(error instanceof UserChanged))
				this.notify("error", `${what}: ${(error as Error).message}`,
					action);
		}
	}

	// Runs `work` after the writes to this row that came before.
	private queue(row: Row, what: string, work: () => Promise<void>,
			action?: Notice["action"]) {
		row.queue = row.queue.then(() => this.report(what, work, action));
	}

	private accept(row: Row, { task, etag }: Version) {
		row.task = task;
		row.etag = etag;
		row.loads = this.loads;
	}

	// A row that is being edited stays: save() will say that the task is deleted.
	private drop(row: Row) {
		const { rows } = this.store.get();
		this.store.set({ rows: rows.filter((other) =>
			other !== row || other.editing) });
	}

	setDraft(draft: string) {
		this.store.set({ draft });
		this.keep();
	}

	add(text: Text = { title: this.store.get().draft, description: null }) {
		const wrong = problemOf(text);
		if (wrong) {
			this.notify("error", wrong);
			return;
		}
		if (text.title === this.store.get().draft)
			this.store.set({ draft: "" });
		this.store.set({ notice: null });
		const { title, description } = text;
		this.create(newRow(crypto.randomUUID(), null,
			{ title, description, completed: false }));
	}

	private create(row: Row) {
		this.sort([row, ...this.store.get().rows]);
		this.keep();
		// Tasks are created one after the other, so that they keep their order.
		row.queue = this.creating;
		let text: Text = row.first;
		this.queue(row, `${quoted(text.title)} was not added`, async () => {
			try {
				this.accept(row, await this.api.create(row.first, row.key));
				// A list that arrived meanwhile may have it in a row of its own.
				const { rows } = this.store.get();
				this.sort(rows.filter((other) => other === row
					|| other.task?.id !== row.task!.id));
			} catch (error) {
				// The title goes back into the field for a new task, if it is empty.
				text = row.editing ?? text;
				row.editing = null;
				this.drop(row);
				if (!this.store.get().draft)
					this.store.set({ draft: text.title });
				throw error;
			} finally {
				this.keep();
			}
		}, { label: "Try again", run: () => this.add(text) });
		this.creating = row.queue;
	}

	// Shows a change at once, and takes it back if `write` fails.
	private change(row: Row, patch: Partial<Content>,
			write: () => Promise<void>) {
		row.unsaved.push(patch);
		this.store.set({});
		const { title } = shown(row);
		this.queue(row, `${quoted(title)} was not saved`, async () => {
			try {
				// A new task that was refused cannot be changed.
				if (row.task)
					await write();
			} finally {
				row.unsaved.splice(row.unsaved.indexOf(patch), 1);
				this.store.set({});
			}
		});
	}

	toggle(row: Row) {
		const completed = !shown(row).completed;
		this.change(row, { completed }, async () => {
			const version = await this.api.complete(row.task!.id, completed);
			if (!version) {
				this.drop(row);
				throw new Error("it was deleted elsewhere.");
			}
			this.accept(row, version);
		});
	}

	// ---- editing ----

	edit(row: Row) {
		const { title, description } = shown(row);
		const base = { title, description };
		row.editing = { ...base, base };
		this.store.set({});
		this.queue(row, "", () => this.loadVersion(row));
	}

	// Loads the newest version and its ETag for editing. If this fails, save() will
	// report it.
	private async loadVersion(row: Row) {
		if (!row.task || row.etag || !row.editing)
			return;
		const version = await this.api.read(row.task.id).catch(() => null);
		const { editing } = row;
		if (!version)
			return;
		if (editing && !sameText(version.task, editing.base)) {
			// The user has already edited the old version. write() will ask which
			// version to keep.
			if (!sameText(editing, editing.base))
				return;
			const { title, description } = version.task;
			const base = { title, description };
			row.editing = { ...base, base };
		}
		this.accept(row, version);
		this.store.set({});
	}

	type(row: Row, change: Partial<Text>) {
		if (row.editing)
			row.editing = { ...row.editing, ...change };
		this.store.set({});
	}

	cancel(row: Row) {
		row.editing = null;
		this.store.set({});
	}

	// Saves the edited text, or returns what is wrong with it.
	save(row: Row): string | null {
		const { editing } = row;
		if (!editing)
			return null;
		const { title, description, base } = editing;
		const mine = { title, description };
		const wrong = problemOf(mine);
		if (wrong)
			return wrong;
		this.cancel(row);
		if (!sameText(mine, base))
			this.change(row, mine, () => this.write(row, mine, base));
		return null;
	}

	// Replaces the version that the user saw, and no other.
	private async write(row: Row, mine: Text, base: Text) {
		const { id } = row.task!;
		let etag = sameText(row.task!, base) ? row.etag : null;
		for (;;) {
			const written = etag && await this.api.write(id, mine, etag);
			if (written)
				return this.accept(row, written);
			const current = await this.api.read(id);
			if (!current)
				return this.deletedElsewhere(row, mine);
			this.accept(row, current);
			const theirs = current.task;
			const unseen = etag !== null || !sameText(theirs, base);
			etag = current.etag;
			if (!etag)
				throw new Error("the server sent no ETag");
			// An earlier attempt may have succeeded without an answer.
			if (sameText(theirs, mine))
				return;
			if (!unseen)
				continue;
			const choice = await this.ask(mine, theirs);
			if (choice === "edit") {
				const { title, description } = theirs;
				row.editing = { ...(row.editing ?? mine),
					base: { title, description } };
			}
			if (choice !== "mine")
				return;
		}
	}

	private deletedElsewhere(row: Row, mine: Text) {
		this.drop(row);
		this.notify("error", `${quoted(mine.title)} was deleted elsewhere.`, {
			label: "Add it again",
			run: () => this.add(mine),
		});
	}

	private ask(mine: Text, theirs: Task) {
		const answer = this.asking.then(() =>
			new Promise<"mine" | "theirs" | "edit">((resolve) => {
				this.store.set({ conflict: { mine, theirs, choose: (choice) => {
					this.store.set({ conflict: null });
					resolve(choice);
				} } });
			}));
		this.asking = answer;
		return answer;
	}

	// ---- deleting ----

	remove(rows: Row[]) {
		this.commit();
		for (const row of rows)
			row.editing = null;
		this.undoable = rows;
		this.keep();
		// Renews the token if need be: fetchOnLeave() cannot wait for one.
		void this.auth.user();
		this.store.set({ undo: rows.length === 1
			? `Deleted ${quoted(shown(rows[0]!).title)}.`
			: `Deleted ${rows.length} tasks.` });
		this.resume();
	}

	undo() {
		clearTimeout(this.undoTimer);
		this.undoable = [];
		this.keep();
		this.store.set({ undo: null });
	}

	// Gives more time to undo while the pointer or the focus is there. The time is
	// limited, because a pointer may rest there.
	hold() {
		this.resume(UNDO_HELD_MS);
	}

	resume(time = UNDO_MS) {
		clearTimeout(this.undoTimer);
		if (this.undoable.length)
			this.undoTimer = window.setTimeout(() => this.commit(), time);
	}

	private commit() {
		clearTimeout(this.undoTimer);
		const rows = this.undoable;
		this.undoable = [];
		this.store.set({ undo: null });
		// Four at a time: there may be hundreds.
		const lanes = [0, 1, 2, 3].map(() => Promise.resolve());
		rows.forEach((row, i) => {
			lanes[i % 4] = this.delete(row, lanes[i % 4]);
		});
	}

	private delete(row: Row, after = Promise.resolve()) {
		this.deleting.add(row);
		this.keep();
		row.queue = Promise.all([row.queue, after]).then(() => {});
		const { title } = shown(row);
		const name = title ? quoted(title) : "A task";
		this.queue(row, `${name} was not deleted`, async () => {
			try {
				// A new task that was refused need not be deleted.
				if (row.task) {
					await this.api.remove(row.task.id);
					this.gone.add(row.task.id);
					this.drop(row);
				}
			} finally {
				this.deleting.delete(row);
				this.keep();
				this.store.set({});
			}
		});
		return row.queue;
	}

	// Deletes all completed tasks, also those that are not on the page.
	clearCompleted() {
		return this.report("Completed tasks were not deleted", async () => {
			const { rows } = this.store.get();
			await Promise.all(rows.map((row) => row.queue));
			const found: Row[] = [];
			let path: string | null = this.api.listPath("completed", PAGE_MAX);
			while (path) {
				const page: Page = await this.api.page(path);
				const { rows } = this.store.get();
				for (const task of page.tasks)
					if (!this.gone.has(task.id))
						found.push(rows.find((row) => row.task?.id === task.id)
							?? newRow(task.id, task, task));
				path = page.next;
			}
			const rest = found.filter((row) => !this.deleting.has(row)
				&& !this.undoable.includes(row));
			if (rest.length)
				this.remove(rest);
			else
				this.notify("info", "No task is completed.");
		});
	}

	dismiss() {
		this.store.set({ notice: null });
	}
}
