#include "http/entity_tag.h"

/*
 * Remove the entity tag that *field* begins with.  Returns false, changing
 * nothing, if *field* does not begin with one.
 */
static bool
take_tag(struct slice *field, struct slice *tag)
{
	struct slice rest = *field;
	size_t length = 1;

	if (rest.length >= 2 && rest.data[0] == 'W' && rest.data[1] == '/')
		(void)slice_take(&rest, 2);
	if (rest.length == 0 || rest.data[0] != '"')
		return false;
	while (length < rest.length && rest.data[length] != '"') {
		unsigned char byte = (unsigned char)rest.data[length++];

		if (byte <= ' ' || byte == 0x7f)
			return false;
	}
	if (length == rest.length)
		return false;
	*tag = slice_take(&rest, length + 1);
	*field = rest;
	return true;
}

bool
entity_tag_next(struct slice *field, struct slice *tag)
{
	/* Empty elements of a list are ignored (RFC 9110 section 5.6.1). */
	while (field->length > 0 &&
	    (field->data[0] == ',' || slice_is_blank(field->data[0])))
		(void)slice_take(field, 1);
	if (field->length == 0 || !take_tag(field, tag))
		return false;
	*field = slice_trim(*field);
	return field->length == 0 || field->data[0] == ',';
}
