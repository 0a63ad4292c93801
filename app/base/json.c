#include "base/json.h"

#include <limits.h>
#include <string.h>

#include <json-c/json_object.h>
#include <json-c/json_tokener.h>
#include <json-c/linkhash.h>

#include "base/json_check.h"

/* Add what the tree *node* holds to *census*. */
static void
count_tree(struct json_object *node, struct json_census *census)
{
	switch (json_object_get_type(node)) {
	case json_type_object: {
		struct json_object_iter member;

		json_object_object_foreachC(node, member)
		{
			census->members++;
			census->bytes += strlen(member.key);
			count_tree(member.val, census);
		}
		break;
	}
	case json_type_array:
		for (size_t i = 0; i < json_object_array_length(node); i++)
			count_tree(json_object_array_get_idx(node, i), census);
		break;
	case json_type_string:
		census->bytes += (size_t)json_object_get_string_len(node);
		break;
	case json_type_null:
	case json_type_boolean:
	case json_type_double:
	case json_type_int:
		break;
	}
}

static struct json
wrap_node(struct json_object *node)
{
	static const enum json_kind kinds[] = {
		[json_type_null] = JSON_NULL,
		[json_type_boolean] = JSON_BOOLEAN,
		[json_type_double] = JSON_NUMBER,
		[json_type_int] = JSON_INTEGER,
		[json_type_object] = JSON_OBJECT,
		[json_type_array] = JSON_ARRAY,
		[json_type_string] = JSON_STRING,
	};

	return (struct json) { kinds[json_object_get_type(node)], node };
}

static void
release_tree(void *node)
{
	(void)json_object_put(node);
}

/* Let json-c parse *text*, which json_check() has passed, into a tree. */
static enum status
parse_text(struct arena *arena, struct slice text, struct json_object **node)
{
	struct json_tokener *tokener;
	enum json_tokener_error error;
	size_t end;

	/* To json-c, a scalar is a level too.  json_check() has already
	 * limited the depth, so a larger limit here does no harm. */
	if ((tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 2)) == NULL)
		return STATUS_INTERNAL;
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	*node = json_tokener_parse_ex(tokener, text.data, (int)text.length);
	error = json_tokener_get_error(tokener);
	end = json_tokener_get_parse_end(tokener);
	if (error == json_tokener_continue) {
		/* A number or literal at the end of the text could continue.
		 * A NUL tells json-c that the text ends here. */
		*node = json_tokener_parse_ex(tokener, "", 1);
		error = json_tokener_get_error(tokener);
	}
	json_tokener_free(tokener);

	if (arena_defer(arena, release_tree, *node) != STATUS_OK)
		return STATUS_INTERNAL;
	if (error != json_tokener_success || end != text.length)
		return STATUS_INTERNAL;
	return STATUS_OK;
}

enum status
json_read(struct arena *arena, struct slice text, struct json *value)
{
	struct json_census census = { 0 };
	struct json_checked checked;
	struct json_object *node;
	enum status status;

	/* json-c takes lengths as int. */
	if (text.length > INT_MAX)
		return STATUS_INVALID;
	if ((status = json_check(arena, text, &checked)) != STATUS_OK)
		return status;
	if (parse_text(arena, checked.text, &node) != STATUS_OK)
		return STATUS_INTERNAL;

	/*
	 * Of members with the same name (after unescaping), json-c keeps one
	 * and drops the others with all that they hold.  So the tree never has
	 * more members than the text, and has as many only if no name occurs
	 * twice in an object.
	 *
	 * json-c does not notice all failed allocations of its own.  One can
	 * leave a string cut short, so bytes are compared too.
	 */
	count_tree(node, &census);
	if (census.members != checked.census.members) {
		struct json_census again = { 0 };

		/* A failed allocation can also drop a member.  That does not
		 * happen twice in the same place, so parse once more. */
		if (parse_text(arena, checked.text, &node) != STATUS_OK)
			return STATUS_INTERNAL;
		count_tree(node, &again);
		return again.members == census.members ? STATUS_INVALID
						       : STATUS_INTERNAL;
	}
	if (census.bytes != checked.census.bytes)
		return STATUS_INTERNAL;
	*value = wrap_node(node);
	return STATUS_OK;
}

bool
json_member(struct json object, const char *name, struct json *member)
{
	struct json_object *node;

	if (object.type != JSON_OBJECT ||
	    !json_object_object_get_ex(object.node, name, &node))
		return false;
	*member = wrap_node(node);
	return true;
}

struct slice
json_as_string(struct json string)
{
	return (struct slice) { json_object_get_string(string.node),
		(size_t)json_object_get_string_len(string.node) };
}

bool
json_as_boolean(struct json boolean)
{
	return json_object_get_boolean(boolean.node);
}

int64_t
json_as_integer(struct json integer)
{
	return json_object_get_int64(integer.node);
}

size_t
json_items(struct json array)
{
	return json_object_array_length(array.node);
}

struct json
json_item(struct json array, size_t i)
{
	return wrap_node(json_object_array_get_idx(array.node, i));
}
