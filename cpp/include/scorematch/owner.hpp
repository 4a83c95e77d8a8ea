// A pointer that deletes: std::unique_ptr without its header.
#pragma once

#include "scorematch/level.hpp"

SCOREMATCH_BEGIN_LEVEL

template <class T>
class Owner {
  public:
    explicit Owner(T* object) noexcept : object_(object) {}
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    ~Owner() { delete object_; }

    T* get() const noexcept { return object_; }
    T* operator->() const noexcept { return object_; }
    T& operator*() const noexcept { return *object_; }

  private:
    T* object_;
};

SCOREMATCH_END_LEVEL
