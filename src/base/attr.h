/* base/attr.h -- the compiler extensions that the rest of the tree may use by name. */
#ifndef CLIPC_BASE_ATTR_H
#define CLIPC_BASE_ATTR_H

#define ATTR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ATTR_UNUSED            __attribute__((unused))
#define ATTR_INLINE            static inline __attribute__((always_inline))

#endif
