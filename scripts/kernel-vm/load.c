// SPDX-License-Identifier: Apache-2.0
//
// Loads the programs of BPF objects and prints how many instructions the verifier processed: a line
// "OBJECT PROGRAM INSTRUCTIONS" each, or why the kernel refuses the object.
//
//   load [--restricted] OBJECT...
//
// --restricted: as the daemon does without CAP_PERFMON, load NAME_restricted in place of NAME where an object has both.

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "forwarding_abi.h"

enum { max_programs = 16, log_size = 1 << 16, statistics_only = 4 };

static char logs[max_programs][log_size];
static int restricted;

// Chooses between NAME and NAME_restricted.
static void choose_programs(struct bpf_object *object)
{
  struct bpf_program *program, *twin;
  char name[64];

  bpf_object__for_each_program(program, object) {
    snprintf(name, sizeof(name), "%s_restricted", bpf_program__name(program));
    twin = bpf_object__find_program_by_name(object, name);
    if (!twin)
      continue;
    bpf_program__set_autoload(program, !restricted);
    bpf_program__set_autoload(twin, restricted);
  }
}

// The verifier knows frozen constants. With the object's own, zeros, it would know every hash beforehand.
static int draw_keys(struct bpf_object *object)
{
  struct bpf_map *map = bpf_object__find_map_by_name(object, ".rodata.constants");
  struct forwarder_constants constants;
  const void *initial;
  size_t size;

  if (!map)
    return 0;
  initial = bpf_map__initial_value(map, &size);
  if (!initial || size != sizeof(constants))
    return -EINVAL;
  memcpy(&constants, initial, size);
  if (getrandom(constants.hash_keys, sizeof(constants.hash_keys), 0) < 0)
    return -errno;
  return bpf_map__set_initial_value(map, &constants, size);
}

static int load(const char *path)
{
  struct bpf_object *object = bpf_object__open_file(path, NULL);
  struct bpf_program *program;
  unsigned count = 0;
  int error;

  if (!object)
    return -errno;
  error = draw_keys(object);
  choose_programs(object);
  bpf_object__for_each_program(program, object) {
    if (error || count == max_programs)
      break;
    error = bpf_program__set_log_buf(program, logs[count++], log_size);
    bpf_program__set_log_level(program, statistics_only);
  }
  if (!error)
    error = bpf_object__load(object);
  count = 0;
  bpf_object__for_each_program(program, object) {
    const char *log = logs[count++], *done = strstr(log, "processed ");

    if (!error && bpf_program__autoload(program))
      printf("%s %s %d\n", bpf_object__name(object), bpf_program__name(program),
             done ? atoi(done + strlen("processed ")) : -1);
  }
  bpf_object__close(object);
  return error;
}

// Once more, so that libbpf prints the verifier's reasons.
static void explain(const char *path)
{
  struct bpf_object *object = bpf_object__open_file(path, NULL);

  if (object) {
    draw_keys(object);
    choose_programs(object);
    bpf_object__load(object);
    bpf_object__close(object);
  }
}

int main(int count, char **arguments)
{
  int failures = 0;

  for (int number = 1; number < count; number++) {
    if (!strcmp(arguments[number], "--restricted")) {
      restricted = 1;
      continue;
    }
    int error = load(arguments[number]);

    if (error) {
      fprintf(stderr, "%s: %s\n", arguments[number], strerror(-error));
      explain(arguments[number]);
      failures++;
    }
  }
  return failures ? 1 : 0;
}
