/* Runs a fuzz target once on each file, without libFuzzer. */

#include <dirent.h>

#include "fuzz.h"

static unsigned long file_count;

static void
run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	static uint8_t room[1 << 20];
	uint8_t *data;
	size_t size;

	if (file == NULL)
		return;
	size = fread(room, 1, sizeof(room), file);
	(void)fclose(file);
	/* In memory of its own, so that sanitizers find reads after its end. */
	data = malloc(size);
	if (size > 0)
		memcpy(data, room, size);
	(void)LLVMFuzzerTestOneInput(data, size);
	free(data);
	file_count++;
}

int
main(int argc, char *argv[])
{
	for (int i = 1; i < argc; i++) {
		DIR *folder = opendir(argv[i]);
		const struct dirent *entry;
		char path[4096];

		if (folder == NULL) {
			run_file(argv[i]);
			continue;
		}
		while ((entry = readdir(folder)) != NULL) {
			if (entry->d_name[0] == '.')
				continue;
			(void)snprintf(path, sizeof(path), "%s/%s", argv[i],
			    entry->d_name);
			run_file(path);
		}
		(void)closedir(folder);
	}
	printf("%lu files\n", file_count);
	return file_count == 0;
}
