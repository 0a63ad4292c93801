// One person's tasks, as the page shows them: what the server last said, and
// over it what was done here and has not been answered yet. What the server
// refuses is taken back, with a message.
//
// Writes to one task go out one after the other. Those that wait, for the
// network or the server, wait in authFetch.

import { type AuthFetch, UserChanged } from "./auth-fetch";
import { createStore } from "./store";
import { createTaskApi, problem, type Content, type Filter, type Page, type Task,
	type Text, type Version } from "./task-api";

export interface Row {
	// Stays the same when a new task is given its id.
	key: string;
	// As the server last said, and its ETag if we know it; null: not there yet.
	task: Task | null;
	etag: string | null;
	// What a new task was made with.
	first: Content;
	// What was done here and not answered yet, oldest first.
	unsaved: Partial<Content>[];
	editing: Editing | null;
	queue: Promise<void>;
	// How many lists had been asked for when the server last spoke of it: an
	// older one that is without it proves nothing.
	loads: number;
}

export interface Editing extends Text {
	// The text that the person saw when they began.
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
	// What has been deleted and can be brought back, in words.
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
	// Deleted rows: those that can be brought back, those on their way, and
	// the ids of all, so that no list brings them up again.
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

	// ---- what outlives a reload: the unsent, in this tab alone ----

	private restore() {
		const kept = JSON.parse(sessionStorage.getItem(this.storage) ?? "{}");
		this.store.set({ draft: kept.draft ?? "" });
		// With its key of then, a task that did get through is not made twice.
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
		// Those that could still be undone as well: a page that is thrown away
		// without being left is not asked.
		const deleted = [...this.undoable, ...this.deleting]
			.flatMap((row) => row.task?.id ?? []);
		if (draft || created.length || deleted.length)
			sessionStorage.setItem(this.storage,
				JSON.stringify({ draft, created, deleted }));
		else
			sessionStorage.removeItem(this.storage);
	}

	// The page is left: what could still be undone goes out now. What does not
	// get through goes out again if this tab comes back.
	leave() {
		this.commit();
		for (const row of this.deleting)
			if (row.task)
				this.auth.last(this.user, this.api.path(row.task.id),
					{ method: "DELETE" });
	}

	// Whether something is lost if the tab is closed: what was done, and what
	// was typed into a task.
	get unsaved(): boolean {
		return this.store.get().rows.some(({ task, unsaved, editing }) =>
			!task || unsaved.length > 0
			|| editing && !sameText(editing, editing.base));
	}

	// Sends what is left, and waits a little: is all of it answered?
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

	// Nothing is sent or shown any more; with forget, nothing is kept either.
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
		return this.load(this.api.list(filter, PAGE), true);
	}

	more() {
		const { next } = this.store.get();
		return next ? this.load(next, false) : undefined;
	}

	// As many as are there, in case somebody changed them elsewhere.
	refresh() {
		const { filter, rows } = this.store.get();
		const limit = Math.min(PAGE_MAX, Math.max(PAGE, rows.length));
		return this.load(this.api.list(filter, limit), true);
	}

	private async load(path: string, fromStart: boolean) {
		const load = ++this.loads;
		this.store.set({ loading: true });
		await this.guard("The list could not be loaded", async () => {
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
			// A list asked for before a write may arrive after its answer.
			if (task.updated_at > row.task!.updated_at) {
				row.task = task;
				row.etag = null;
			}
			return row;
		});
		this.sort([...kept, ...listed]);
	}

	// Newest first: ids are in order of creation, and new tasks have none yet.
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

	// Any failure ends as a message, unless nobody is there to read it.
	private async guard(what: string, work: () => Promise<void>,
			action?: Notice["action"]) {
		try {
			await work();
		} catch (error) {
			if (this.open && !(error instanceof UserChanged))
				this.notify("error", `${what}: ${(error as Error).message}`,
					action);
		}
	}

	// After all that was done to this row before.
	private queue(row: Row, what: string, work: () => Promise<void>,
			action?: Notice["action"]) {
		row.queue = row.queue.then(() => this.guard(what, work, action));
	}

	private accept(row: Row, { task, etag }: Version) {
		row.task = task;
		row.etag = etag;
		row.loads = this.loads;
	}

	// What is being edited stays: saving it will tell that it is gone.
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
		const wrong = problem(text);
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
		// One after the other: the list is in the order in which they were made.
		row.queue = this.creating;
		let text: Text = row.first;
		this.queue(row, `${quoted(text.title)} was not added`, async () => {
			try {
				this.accept(row, await this.api.create(row.first, row.key));
				// If it is in a list that came meanwhile, once is enough.
				const { rows } = this.store.get();
				this.sort(rows.filter((other) => other === row
					|| other.task?.id !== row.task!.id));
			} catch (error) {
				// Back to where it was typed, if nothing else is there by now.
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

	// Shows a change at once and has it made; takes it back if that fails.
	private change(row: Row, patch: Partial<Content>,
			make: () => Promise<void>) {
		row.unsaved.push(patch);
		this.store.set({});
		const { title } = shown(row);
		this.queue(row, `${quoted(title)} was not saved`, async () => {
			try {
				// A new task that was refused is not there to be changed.
				if (row.task)
					await make();
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
		this.queue(row, "", () => this.freshen(row));
	}

	// Before a change is typed, the newest version and its ETag. If there is
	// none to be had, saving will say so.
	private async freshen(row: Row) {
		if (!row.task || row.etag || !row.editing)
			return;
		const version = await this.api.read(row.task.id).catch(() => null);
		const { editing } = row;
		if (!version)
			return;
		if (editing && !sameText(version.task, editing.base)) {
			// Something has been typed over an old version: it is for the
			// person to decide, when they save.
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

	// Saves what is being edited; tells what is wrong with it, if anything.
	save(row: Row): string | null {
		const { editing } = row;
		if (!editing)
			return null;
		const { title, description, base } = editing;
		const mine = { title, description };
		const wrong = problem(mine);
		if (wrong)
			return wrong;
		this.cancel(row);
		if (!sameText(mine, base))
			this.change(row, mine, () => this.write(row, mine, base));
		return null;
	}

	// Writes over the version that the person saw, and over no other.
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
				throw new Error("the server sent no version with it");
			// An earlier try of ours may have got through unanswered.
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
		// The page may be left before the time ends: with a token that lasts.
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

	// While the pointer or the focus is there, there is more time to undo; not
	// for ever, since a pointer may be left lying.
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
		// A few at a time: there may be hundreds.
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
				// A new task that was refused is not there to be deleted.
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

	// All completed tasks, those not on the page included.
	clearCompleted() {
		return this.guard("Completed tasks were not deleted", async () => {
			const { rows } = this.store.get();
			await Promise.all(rows.map((row) => row.queue));
			const found: Row[] = [];
			let path: string | null = this.api.list("completed", PAGE_MAX);
			while (path) {
				const page: Page = await this.api.page(path);
				const { rows } = this.store.get();
				for (const task of page.tasks)
					if (!this.gone.has(task.id))
						found.push(rows.find((row) => row.task?.id === task.id)
							?? newRow(task.id, task, task));
				path = page.next;
			}
			const doomed = found.filter((row) => !this.deleting.has(row)
				&& !this.undoable.includes(row));
			if (doomed.length)
				this.remove(doomed);
			else
				this.notify("info", "No task is completed.");
		});
	}

	dismiss() {
		this.store.set({ notice: null });
	}
}
