// SPDX-License-Identifier: Apache-2.0
// Declares float members once and makes their names visible to Python.
//
//   struct Cell : PulsedCell { OHM_FIELDS(PulsedCell, slope_up, slope_down) };
//
// gives two members, `count` (inherited ones included), `visit(f)` that hands every member to f in
// order, and `list_names(sink)`.
#pragma once
#include "core/macros.h"

#define OHM_EACH_1(m, a) m(a)
#define OHM_EACH_2(m, a, ...) m(a) OHM_EACH_1(m, __VA_ARGS__)
#define OHM_EACH_3(m, a, ...) m(a) OHM_EACH_2(m, __VA_ARGS__)
#define OHM_EACH_4(m, a, ...) m(a) OHM_EACH_3(m, __VA_ARGS__)
#define OHM_EACH_5(m, a, ...) m(a) OHM_EACH_4(m, __VA_ARGS__)
#define OHM_EACH_6(m, a, ...) m(a) OHM_EACH_5(m, __VA_ARGS__)
#define OHM_EACH_7(m, a, ...) m(a) OHM_EACH_6(m, __VA_ARGS__)
#define OHM_EACH_8(m, a, ...) m(a) OHM_EACH_7(m, __VA_ARGS__)
#define OHM_EACH_9(m, a, ...) m(a) OHM_EACH_8(m, __VA_ARGS__)
#define OHM_EACH_10(m, a, ...) m(a) OHM_EACH_9(m, __VA_ARGS__)
#define OHM_EACH_11(m, a, ...) m(a) OHM_EACH_10(m, __VA_ARGS__)
#define OHM_EACH_12(m, a, ...) m(a) OHM_EACH_11(m, __VA_ARGS__)
#define OHM_EACH_13(m, a, ...) m(a) OHM_EACH_12(m, __VA_ARGS__)
#define OHM_EACH_14(m, a, ...) m(a) OHM_EACH_13(m, __VA_ARGS__)
#define OHM_EACH_15(m, a, ...) m(a) OHM_EACH_14(m, __VA_ARGS__)
#define OHM_EACH_16(m, a, ...) m(a) OHM_EACH_15(m, __VA_ARGS__)
#define OHM_PICK(_1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12, _13, _14, _15, _16, name, ...) name
#define OHM_COUNT(...) OHM_PICK(__VA_ARGS__, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define OHM_EACH(m, ...) OHM_JOIN(OHM_EACH_, OHM_COUNT(__VA_ARGS__))(m, __VA_ARGS__)
#define OHM_VISIT_ONE(field) f(field);

#define OHM_FIELDS(Base, ...)                                                        \
  float __VA_ARGS__;                                                                 \
  static constexpr int count = Base::count + OHM_COUNT(__VA_ARGS__);                 \
  template <class F>                                                                 \
  OHM_HD void visit(F& f) {                                                          \
    Base::visit(f);                                                                  \
    OHM_EACH(OHM_VISIT_ONE, __VA_ARGS__)                                             \
  }                                                                                  \
  template <class Sink>                                                              \
  static void list_names(Sink& sink) {                                               \
    Base::list_names(sink);                                                          \
    sink(#__VA_ARGS__);                                                              \
  }

namespace OHM_NS {

using namespace ohm_types;

// The root of every field list. A record with tables of numbers besides its members says how many, and takes them in
// `attach(tables)`: one after another, each as its length followed by that many values.
struct NoFields {
  static constexpr int count = 0;
  static constexpr int table_count = 0;
  OHM_HD void attach(const float*) {}
  template <class Sink>
  static void list_tables(Sink&) {}
  template <class F>
  OHM_HD void visit(F&) {}
  template <class Sink>
  static void list_names(Sink&) {}
};

// Reads the members of a record from one consecutive block of floats (parameters of a tile).
struct FromBlock {
  const float* block;
  int at;
  OHM_HD void operator()(float& member) { member = block[at++]; }
};

// Reads the members from, and writes them to, one array per member at position `element` (cells).
struct FromArrays {
  const float* const* arrays;
  i64 element;
  int at;
  OHM_HD void operator()(float& member) { member = arrays[at++][element]; }
};

struct ToArrays {
  float* const* arrays;
  i64 element;
  int at;
  OHM_HD void operator()(const float& member) { arrays[at++][element] = member; }
};

template <class Record>
OHM_HD Record from_block(const float* block) {
  Record record;
  FromBlock reader{block, 0};
  record.visit(reader);
  record.attach(block + Record::count);
  return record;
}

template <class Record>
OHM_HD Record from_arrays(const float* const* arrays, i64 element) {
  Record record;
  FromArrays reader{arrays, element, 0};
  record.visit(reader);
  return record;
}

template <class Record>
OHM_HD void to_arrays(Record& record, float* const* arrays, i64 element) {
  ToArrays writer{arrays, element, 0};
  record.visit(writer);
}

// A table of numbers inside a parameter block.
struct Table {
  const float* value;
  i32 size;
};

OHM_HD const float* take_table(Table& table, const float* block) {
  table.size = (i32)block[0];
  table.value = block + 1;
  return table.value + table.size;
}

}  // namespace OHM_NS
