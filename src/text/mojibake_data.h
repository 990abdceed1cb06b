/* text/mojibake_data.h -- ftfy's tables: see tools/make_ftfy.py. */
#ifndef CLIPC_TEXT_MOJIBAKE_DATA_H
#define CLIPC_TEXT_MOJIBAKE_DATA_H

#include "text/class_range.h"
#include "text/entities_data.h"

/* ---- what looks wrong: short sequences of classes, all searched for at once ----------
 * Every position of every sequence has a bit.  Reading a character of class k turns the
 * set D of positions reached into ((D << 1) | bad_anywhere) & bad_fits[k]; a bit of
 * bad_end in it ends a sequence.  At the start of a text bad_start stands for
 * bad_anywhere. */
typedef uint64_t bits128[2];

extern const bits128 bad_start, bad_anywhere, bad_end;
extern const bits128 bad_fits[];

extern const class_range mojibake_classes[];
extern const size_t n_mojibake_classes;

/* What a class may be in UTF-8 that was read as some 8-bit encoding, as bits. */
enum {
    CLUE_FIRST_OF_2 = 1,
    CLUE_FIRST_OF_3 = 2,
    CLUE_FIRST_OF_4 = 4,
    CLUE_NEXT = 8,
    CLUE_NEXT_STRICT = 16, /* and hardly ever itself */
    CLUE_DIGIT = 32        /* no clue: a decimal digit */
};
extern const uint8_t mojibake_clues[];

/* ---- 8-bit encodings -----------------------------------------------------------------
 */

/* In the order in which they are tried, behind Latin-1, which needs no table. */
enum {
    CHARMAP_1252,
    CHARMAP_1251,
    CHARMAP_1250,
    CHARMAP_1253,
    CHARMAP_1254,
    CHARMAP_1257,
    CHARMAP_8859_2,
    CHARMAP_MACROMAN,
    CHARMAP_CP437,
    N_CHARMAPS,
    CHARMAP_SLOPPY = CHARMAP_8859_2 /* below: 0x1a is U+FFFD */
};

typedef struct charmap_row {
    uint16_t code; /* sorted; all are beyond ASCII */
    uint16_t in;   /* bit e: encoding e has it */
    uint8_t byte[N_CHARMAPS];
} charmap_row;

extern const charmap_row charmap[];
extern const size_t n_charmap;

/* ---- spellings -----------------------------------------------------------------------
 */

typedef struct ligature {
    uint16_t code; /* sorted */
    char letters[6];
} ligature;

extern const ligature ligatures[];
extern const size_t n_ligatures;

/* Names in capitals beyond HTML5's own, like "EACUTE;", sorted. */
extern const entity capital_entities[];
extern const size_t n_capital_entities;

#endif
