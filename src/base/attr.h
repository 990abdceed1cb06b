/* base/attr.h -- the compiler extensions that the rest of the tree may use by name. */
#ifndef CLIPC_BASE_ATTR_H
#define CLIPC_BASE_ATTR_H

#define ATTR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ATTR_UNUSED            __attribute__((unused))
#define ATTR_INLINE            static inline __attribute__((always_inline))

/* Unrolls the loop behind it; not for sanitizers, whose checks of every access in
 * hundreds of unrolled loops would take minutes to compile. */
#ifdef __has_feature
#define ATTR_FEATURE(name) __has_feature(name)
#else
#define ATTR_FEATURE(name) 0
#endif
#if defined __SANITIZE_ADDRESS__ || ATTR_FEATURE(address_sanitizer) || \
    ATTR_FEATURE(thread_sanitizer)
#define ATTR_UNROLL(n)
#else
#define ATTR_UNROLL(n)    ATTR_UNROLL_BY(GCC unroll n)
#define ATTR_UNROLL_BY(x) _Pragma(#x)
#endif

#endif
