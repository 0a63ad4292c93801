/*
 * Runs a fuzz target on files, once each, where there is no libFuzzer.
 */
#include <dirent.h>

#include "fuzz.h"

static unsigned long files;

static void
run(const char *path)
{
	FILE *file = fopen(path, "rb");
	static uint8_t room[1 << 20];
	uint8_t *data;
	size_t size;

	if (file == NULL)
		return;
	size = fread(room, 1, sizeof(room), file);
	(void)fclose(file);
	/* A block of its own, so that reading past it is seen. */
	data = malloc(size);
	if (size > 0)
		memcpy(data, room, size);
	(void)LLVMFuzzerTestOneInput(data, size);
	free(data);
	files++;
}

int
main(int argc, char *argv[])
{
	for (int i = 1; i < argc; i++) {
		DIR *folder = opendir(argv[i]);
		const struct dirent *entry;
		char path[4096];

		if (folder == NULL) {
			run(argv[i]);
			continue;
		}
		while ((entry = readdir(folder)) != NULL) {
			if (entry->d_name[0] == '.')
				continue;
			(void)snprintf(path, sizeof(path), "%s/%s", argv[i],
			    entry->d_name);
			run(path);
		}
		(void)closedir(folder);
	}
	printf("%lu files\n", files);
	return files == 0;
}
