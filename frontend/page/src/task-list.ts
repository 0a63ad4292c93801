// One person's tasks, as the page shows them: what the server last said, and
// over it what was done here and has not been answered yet. What the server
// refuses is taken back, with a message.
//
// Writes to one task go out one after the other. Those that wait, for the
// network or the server, wait in authFetch.

import { type AuthFetch, UserChanged } from "./auth-fetch";
import { createStore } from "./store";

export interface Task {
	id: string;
	title: string;
	description: string | null;
	completed: boolean;
	updated_at: string;
}

export type Filter = "all" | "pending" | "completed";
export type Text = Pick<Task, "title" | "description">;
type Content = Text & Pick<Task, "completed">;

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
	queue: Promise<void>;
}

export interface Editing extends Text {
	key: string;
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
	editing: Editing | null;
	conflict: Conflict | null;
	notice: Notice | null;
	// What has been deleted and can be brought back, in words.
	undo: string | null;
}

export const UNDO_MS = 8_000;
const PAGE = 50;
const PAGE_MAX = 500;
const SIGN_OUT_MS = 3_000;

const quoted = (title: string) => `“${title.length > 60
	? title.slice(0, 60) + "…" : title}”`;

export function shown(row: Row): Content {
	return Object.assign({}, row.task ?? row.first, ...row.unsaved);
}

// What is wrong with a title, in the words of the server's rule; or null.
export function titleProblem(title: string): string | null {
	if (/^\p{White_Space}*$/u.test(title))
		return "Write a title first.";
	const length = [...title].length;
	return length <= 200 ? null
		: `A title has at most 200 characters; this one has ${length}.`;
}

export function descriptionProblem(description: string | null): string | null {
	const length = [...description ?? ""].length;
	return length <= 1000 ? null
		: `A description has at most 1000 characters; this one has ${length}.`;
}

const sameText = (a: Text, b: Text) =>
	a.title === b.title && a.description === b.description;

// The target of `Link: <…>; rel="next"` (RFC 8288).
function nextLink(response: Response): string | null {
	const link = response.headers.get("Link") ?? "";
	return /<([^>]*)>\s*;\s*rel="?next"?/.exec(link)?.[1] ?? null;
}

// Why the server refused, for people.
async function reason(response: Response): Promise<string> {
	try {
		const problem = await response.json();
		const errors = problem.errors?.map((e: { detail: string }) => e.detail);
		return errors?.join(" ") || problem.detail || problem.title;
	} catch {
		return `the server answered ${response.status}`;
	}
}

function newRow(key: string, task: Task | null, first: Content): Row {
	return { key, task, first, etag: null, unsaved: [],
		queue: Promise.resolve() };
}

export class TaskList {
	readonly store = createStore<ListState>({
		filter: "all", rows: [], loading: true, next: null, draft: "",
		editing: null, conflict: null, notice: null, undo: null,
	});
	private readonly base: string;
	private readonly storage: string;
	private open = true;
	private loads = 0;
	// Deleted rows: those that can be brought back, those on their way, and
	// the ids of all, so that no list brings them up again.
	private undoable: Row[] = [];
	private deleting = new Set<Row>();
	private gone = new Set<string>();
	private undoTimer = 0;
	private asking: Promise<unknown> = Promise.resolve();

	constructor(private readonly user: string, private readonly auth: AuthFetch) {
		this.base = `/api/${encodeURIComponent(user)}/tasks`;
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
			.map((row) => ({ key: row.key, ...row.first }));
		const deleted = [...this.deleting].flatMap((row) => row.task?.id ?? []);
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
				this.auth.last(this.user, `${this.base}/${row.task.id}`,
					{ method: "DELETE" });
	}

	// Whether a reload would lose what was typed or done.
	get unsaved(): boolean {
		const { rows, editing } = this.store.get();
		const row = rows.find((row) => row.key === editing?.key);
		return rows.some((row) => row.task && row.unsaved.length > 0)
			|| !!(row && editing && !sameText(editing, editing.base));
	}

	// Sends what is left, and waits a little for the answers.
	async settle() {
		this.commit();
		const { rows } = this.store.get();
		await Promise.race([
			Promise.all([...rows, ...this.deleting].map((row) => row.queue)),
			new Promise((resolve) => setTimeout(resolve, SIGN_OUT_MS)),
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

	private query(filter: Filter, limit: number) {
		return `${this.base}?limit=${limit}`
			+ (filter === "all" ? "" : `&status=${filter}`);
	}

	private fetch(path: string, init?: RequestInit) {
		if (!this.open)
			throw new UserChanged();
		return this.auth.fetch(this.user, path, init);
	}

	show(filter: Filter) {
		this.store.set({ filter });
		return this.load(this.query(filter, PAGE), true);
	}

	more() {
		const { next } = this.store.get();
		return next ? this.load(next, false) : undefined;
	}

	// As many as are there, in case somebody changed them elsewhere.
	refresh() {
		const { filter, rows } = this.store.get();
		const limit = Math.min(PAGE_MAX, Math.max(PAGE, rows.length));
		return this.load(this.query(filter, limit), true);
	}

	private async load(path: string, fromStart: boolean) {
		const load = ++this.loads;
		this.store.set({ loading: true });
		await this.guard("", async () => {
			const response = await this.fetch(path);
			if (load !== this.loads)
				return;
			if (!response.ok) {
				this.notify("error", "The list could not be loaded: "
					+ await reason(response), { label: "Try again",
					run: () => this.load(path, fromStart) });
				return;
			}
			this.merge(await response.json(), fromStart);
			this.store.set({ next: nextLink(response) });
		});
		if (load === this.loads)
			this.store.set({ loading: false });
	}

	private merge(tasks: Task[], fromStart: boolean) {
		const { rows, editing } = this.store.get();
		const known = new Map(rows.map((row) => [row.task?.id, row]));
		const ids = new Set(tasks.map((task) => task.id));
		const kept = rows.filter((row) => !ids.has(row.task?.id ?? "")
			&& (!fromStart || !row.task || row.unsaved.length > 0
				|| row.key === editing?.key));
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

	private notify(kind: Notice["kind"], text: string,
			action?: Notice["action"]) {
		this.store.set({ notice: { kind, text, action } });
	}

	// Any failure ends as a message, unless nobody is there to read it.
	private async guard(what: string, work: () => Promise<void>) {
		try {
			await work();
		} catch (error) {
			if (this.open && !(error instanceof UserChanged))
				this.notify("error", `${what}: ${(error as Error).message}`);
		}
	}

	// After all that was done to this row before.
	private queue(row: Row, what: string, work: () => Promise<void>) {
		row.queue = row.queue.then(() => this.guard(what, work));
	}

	private async accept(row: Row, response: Response) {
		row.task = await response.json() as Task;
		row.etag = response.headers.get("ETag");
	}

	private drop(row: Row) {
		const { rows } = this.store.get();
		this.store.set({ rows: rows.filter((other) => other !== row) });
	}

	setDraft(draft: string) {
		this.store.set({ draft });
		this.keep();
	}

	add(text: Text = { title: this.store.get().draft, description: null }) {
		const problem = titleProblem(text.title);
		if (problem) {
			this.notify("error", problem);
			return;
		}
		if (text.title === this.store.get().draft)
			this.store.set({ draft: "" });
		this.store.set({ notice: null });
		this.create(newRow(crypto.randomUUID(), null,
			{ ...text, completed: false }));
	}

	private create(row: Row) {
		this.sort([row, ...this.store.get().rows]);
		this.keep();
		const { title } = row.first;
		this.queue(row, `${quoted(title)} was not added`, async () => {
			const response = await this.fetch(this.base, {
				method: "POST",
				headers: { "Content-Type": "application/json",
					"Idempotency-Key": row.key },
				body: JSON.stringify(row.first),
			});
			if (response.ok) {
				await this.accept(row, response);
				// If it is in a list that came meanwhile, once is enough.
				const { rows } = this.store.get();
				this.sort(rows.filter((other) => other === row
					|| other.task?.id !== row.task!.id));
				this.keep();
				return;
			}
			this.drop(row);
			if (!this.store.get().draft)
				this.store.set({ draft: title });
			this.keep();
			throw new Error(await reason(response));
		});
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
			const response = await this.fetch(
				`${this.base}/${row.task!.id}/complete`, {
					method: "PATCH",
					headers: { "Content-Type": "application/json" },
					body: JSON.stringify({ completed }),
				});
			if (response.status === 404)
				this.drop(row);
			if (!response.ok)
				throw new Error(await reason(response));
			await this.accept(row, response);
		});
	}

	// ---- editing ----

	edit(row: Row) {
		const { title, description } = shown(row);
		const base = { title, description };
		this.store.set({ editing: { key: row.key, ...base, base } });
		this.queue(row, "", () => this.freshen(row));
	}

	// Before a change is typed, the newest version and its ETag. If there is
	// none to be had, saving will say so.
	private async freshen(row: Row) {
		if (!row.task || row.etag || this.store.get().editing?.key !== row.key)
			return;
		const response = await this.fetch(`${this.base}/${row.task.id}`);
		if (!response.ok)
			return;
		const etag = response.headers.get("ETag");
		const task = await response.json() as Task;
		const { editing } = this.store.get();
		const { title, description } = task;
		const theirs = { title, description };
		if (editing?.key === row.key && !sameText(task, editing.base)) {
			// Something has been typed over an old version: it is for the
			// person to decide, when they save.
			if (!sameText(editing, editing.base))
				return;
			this.store.set({ editing: { key: row.key, ...theirs, base: theirs } });
		}
		row.task = task;
		row.etag = etag;
		this.store.set({});
	}

	type(change: Partial<Text>) {
		const { editing } = this.store.get();
		if (editing)
			this.store.set({ editing: { ...editing, ...change } });
	}

	cancel() {
		this.store.set({ editing: null });
	}

	// Saves what is being edited; tells what is wrong with it, if anything.
	save(): string | null {
		const { editing, rows } = this.store.get();
		const row = rows.find((row) => row.key === editing?.key);
		if (!editing || !row)
			return null;
		const mine: Text = { title: editing.title,
			description: editing.description || null };
		const problem = titleProblem(mine.title)
			?? descriptionProblem(mine.description);
		if (problem)
			return problem;
		this.store.set({ editing: null });
		if (!sameText(mine, editing.base))
			this.change(row, mine, () => this.write(row, mine, editing.base));
		return null;
	}

	// Writes over the version that the person saw, and over no other.
	private async write(row: Row, mine: Text, base: Text) {
		const url = `${this.base}/${row.task!.id}`;
		let etag = sameText(row.task!, base) ? row.etag : null;
		for (;;) {
			if (etag) {
				const response = await this.fetch(url, {
					method: "PATCH",
					headers: { "Content-Type": "application/json",
						"If-Match": etag },
					body: JSON.stringify(mine),
				});
				if (response.ok)
					return this.accept(row, response);
				if (response.status !== 404 && response.status !== 412)
					throw new Error(await reason(response));
			}
			const current = await this.fetch(url);
			if (current.status === 404)
				return this.deletedElsewhere(row, mine);
			if (!current.ok)
				throw new Error(await reason(current));
			await this.accept(row, current);
			const theirs = row.task!;
			const unseen = etag !== null || !sameText(theirs, base);
			etag = row.etag;
			if (!etag)
				throw new Error("the server sent no version with it");
			// An earlier try of ours may have got through unanswered.
			if (sameText(theirs, mine))
				return;
			if (!unseen)
				continue;
			const choice = await this.ask(mine, theirs);
			if (choice === "theirs")
				return;
			if (choice === "edit") {
				const { title, description } = theirs;
				this.store.set({ editing: { key: row.key, ...mine,
					base: { title, description } } });
				return;
			}
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
		if (rows.some((row) => row.key === this.store.get().editing?.key))
			this.cancel();
		this.undoable = rows;
		this.store.set({ undo: rows.length === 1
			? `Deleted ${quoted(shown(rows[0]!).title)}.`
			: `Deleted ${rows.length} tasks.` });
		this.resume();
	}

	undo() {
		clearTimeout(this.undoTimer);
		this.undoable = [];
		this.store.set({ undo: null });
	}

	// The time to undo stands still while the pointer or the focus is there.
	hold() {
		clearTimeout(this.undoTimer);
	}

	resume() {
		clearTimeout(this.undoTimer);
		if (this.undoable.length)
			this.undoTimer = window.setTimeout(() => this.commit(), UNDO_MS);
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
		this.queue(row, `${title ? quoted(title) : "A task"} was not deleted`, async () => {
			if (!row.task) {
				this.deleting.delete(row);
				return;
			}
			const { id } = row.task;
			try {
				const response = await this.fetch(`${this.base}/${id}`,
					{ method: "DELETE" });
				// Somebody else may have deleted it first.
				if (!response.ok && response.status !== 404)
					throw new Error(await reason(response));
				this.gone.add(id);
				this.drop(row);
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
			let path: string | null = this.query("completed", PAGE_MAX);
			while (path) {
				const response: Response = await this.fetch(path);
				if (!response.ok)
					throw new Error(await reason(response));
				for (const task of await response.json() as Task[])
					if (!this.gone.has(task.id))
						found.push(this.store.get().rows.find((row) =>
							row.task?.id === task.id)
							?? newRow(task.id, task, task));
				path = nextLink(response);
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
