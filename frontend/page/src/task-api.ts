// The tasks of one person as the server keeps them: how it is asked for them,
// what it answers, and why it refuses.

export interface Task {
	id: string;
	title: string;
	description: string | null;
	completed: boolean;
	updated_at: string;
}

export type Text = Pick<Task, "title" | "description">;
export type Content = Text & Pick<Task, "completed">;
export type Filter = "all" | "pending" | "completed";

// A task, and the ETag of the version that it is.
export interface Version {
	task: Task;
	etag: string | null;
}

export interface Page {
	tasks: Task[];
	// Where the next page is, or null if there is none.
	next: string | null;
}

export type Fetch = (path: string, init?: RequestInit) => Promise<Response>;

// A title in which there is nothing to see.
const blank = /^[\p{White_Space}\p{Default_Ignorable_Code_Point}\u2800]*$/u;

// What is wrong with a text, in the words of the server's rules; or null.
export function problem({ title, description }: Text): string | null {
	if (blank.test(title))
		return "Write a title first.";
	for (const [name, text, most] of [["title", title, 200],
			["description", description ?? "", 1000]] as const) {
		const { length } = [...text];
		if (length > most)
			return `A ${name} has at most ${most} characters; `
				+ `this one has ${length}.`;
	}
	return null;
}

// The target of `Link: <…>; rel="next"` (RFC 8288).
function nextLink(response: Response): string | null {
	const link = response.headers.get("Link") ?? "";
	return /<([^>]*)>\s*;\s*rel="?next"?/.exec(link)?.[1] ?? null;
}

// Why the server refused, for people (RFC 9457).
async function reason(response: Response): Promise<string> {
	try {
		const problem = await response.json();
		const errors = problem.errors?.map((e: { detail: string }) => e.detail);
		return errors?.join(" ") || problem.detail || problem.title;
	} catch {
		return `the server answered ${response.status}`;
	}
}

export type TaskApi = ReturnType<typeof createTaskApi>;

// Each asks once, and throws the reason if the server refuses; null is its
// answer if there is no such task, or not in that version.
export function createTaskApi(user: string, fetch: Fetch) {
	const base = `/api/${encodeURIComponent(user)}/tasks`;
	const path = (id: string) => `${base}/${id}`;

	async function ask(path: string, init?: RequestInit, none: number[] = []) {
		const response = await fetch(path, init);
		if (none.includes(response.status))
			return null;
		if (!response.ok)
			throw new Error(await reason(response));
		return response;
	}

	async function version(answer: Promise<Response | null>) {
		const response = await answer;
		return response && { task: await response.json() as Task,
			etag: response.headers.get("ETag") };
	}

	const send = (method: string, body: unknown,
			headers?: Record<string, string>): RequestInit => ({ method,
		headers: { "Content-Type": "application/json", ...headers },
		body: JSON.stringify(body) });

	return {
		path,

		// Where a list begins; what follows is in its `next`.
		list: (filter: Filter, limit: number) => `${base}?limit=${limit}`
			+ (filter === "all" ? "" : `&status=${filter}`),

		async page(path: string): Promise<Page> {
			const response = await ask(path);
			return { tasks: await response!.json(), next: nextLink(response!) };
		},

		// With a key, however often it is asked, there is one task.
		async create(content: Content, key: string): Promise<Version> {
			return (await version(ask(base, send("POST", content,
				{ "Idempotency-Key": key }))))!;
		},

		read: (id: string) => version(ask(path(id), {}, [404])),

		complete: (id: string, completed: boolean) => version(ask(
			`${path(id)}/complete`, send("PATCH", { completed }), [404])),

		// Over this version, and over no other.
		write: (id: string, text: Text, etag: string) => version(ask(path(id),
			send("PATCH", text, { "If-Match": etag }), [404, 412])),

		// Somebody else may have done so first.
		async remove(id: string): Promise<void> {
			await ask(path(id), { method: "DELETE" }, [404]);
		},
	};
}
