/* What all kernels keep to.
 *
 * A kernel is plain C11: no allocation, no globals that change, no Python. It reads and writes only
 * within the lengths that it is given. What it must remember between calls lies in a state of the
 * caller, whose first word is the kernel's own mark. Functions return a count, or one of the
 * negative numbers below; damage of a stream never ends in anything else.
 */
#ifndef GANTRY_KERNELS_H
#define GANTRY_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* For inner loops that are written once and compiled for several constants. */
#if defined(__GNUC__)
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define UNROLLED _Pragma("GCC unroll 4")
#else
#define ALWAYS_INLINE static inline
#define UNROLLED
#endif

enum {
    KERNEL_MISUSED = -1, /* lengths or parameters that do not fit each other: our own mistake */
    KERNEL_DAMAGED = -2, /* the stream says what no stream may say */
    KERNEL_SHORT = -3    /* the stream ends too early */
};

#endif
