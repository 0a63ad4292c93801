// The API of one user's tasks: its requests, its responses, and its refusals in
// words.

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

// A task, and the ETag of this version of it.
export interface Version {
	task: Task;
	etag: string | null;
}

export interface Page {
	tasks: Task[];
	// The path of the next page, or null on the last one.
	next: string | null;
}

export type Fetch = (path: string, init?: RequestInit) => Promise<Response>;

// A title without a visible character.
const blank = /^[\p{White_Space}\p{Default_Ignorable_Code_Point}\u2800]*$/u;

// Why the server would refuse this text, or null.
export function problemOf({ title, description }: Text): string | null {
	if (blank.test(title))
		return "Write a title first.";
	for (const [name, text, max] of [["title", title, 200],
			["description", description ?? "", 1000]] as const) {
		const { length } = [...text];
		if (length > max)
			return `A ${name} has at most ${max} characters; `
				+ `this one has ${length}.`;
	}
	return null;
}

// The target of `Link: <…>; rel="next"` (RFC 8288).
function nextLink(response: Response): string | null {
	const link = response.headers.get("Link") ?? "";
	return /<([^>]*)>\s*;\s*rel="?next"?/.exec(link)?.[1] ?? null;
}

// Why the server refused, in words (RFC 9457).
async function reasonOf(response: Response): Promise<string> {
	try {
		const problem = await response.json();
		const errors = problem.errors?.map((e: { detail: string }) => e.detail);
		return errors?.join(" ") || problem.detail || problem.title;
	} catch {
		return `the server answered ${response.status}`;
	}
}

export type TaskApi = ReturnType<typeof createTaskApi>;

// Each function sends one request, and throws an error with the reason if the
// server refuses. It returns null if the task is not there, or not in that version.
export function createTaskApi(user: string, fetch: Fetch) {
	const base = `/api/${encodeURIComponent(user)}/tasks`;
	const path = (id: string) => `${base}/${id}`;

	async function request(path: string, init?: RequestInit,
			nullStatuses: number[] = []) {
		const response = await fetch(path, init);
		if (nullStatuses.includes(response.status))
			return null;
		if (!response.ok)
			throw new Error(await reasonOf(response));
		return response;
	}

	async function version(sent: Promise<Response | null>) {
		const response = await sent;
		return response && { task: await response.json() as Task,
			etag: response.headers.get("ETag") };
	}

	const json = (method: string, body: unknown,
			headers?: Record<string, string>): RequestInit => ({ method,
		headers: { "Content-Type": "application/json", ...headers },
		body: JSON.stringify(body) });

	return {
		path,

		// The path of the first page of a list.
		listPath: (filter: Filter, limit: number) => `${base}?limit=${limit}`
			+ (filter === "all" ? "" : `&status=${filter}`),

		async page(path: string): Promise<Page> {
			const response = await request(path);
			return { tasks: await response!.json(), next: nextLink(response!) };
		},

		// Makes one task, however often it is called with one key.
		async create(content: Content, key: string): Promise<Version> {
			return (await version(request(base, json("POST", content,
				{ "Idempotency-Key": key }))))!;
		},

		read: (id: string) => version(request(path(id), {}, [404])),

		complete: (id: string, completed: boolean) => version(request(
			`${path(id)}/complete`, json("PATCH", { completed }), [404])),

		// Replaces this version, and no other.
		write: (id: string, text: Text, etag: string) => version(request(path(id),
			json("PATCH", text, { "If-Match": etag }), [404, 412])),

		// A task that is not there counts as deleted.
		async remove(id: string): Promise<void> {
			await request(path(id), { method: "DELETE" }, [404]);
		},
	};
}
