// Pointers that delete: std::unique_ptr without its header.
#pragma once

#include "scorematch/common.hpp"
#include "scorematch/level.hpp"

SCOREMATCH_BEGIN_LEVEL

template <class T>
class Owner {
  public:
    Owner() noexcept = default;
    explicit Owner(T* object) noexcept : object_(object) {}
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    Owner& operator=(Owner&& other) noexcept {
        T* const object = object_;
        object_ = other.object_;
        other.object_ = object;
        return *this;
    }
    ~Owner() { delete object_; }

    T* get() const noexcept { return object_; }
    T* operator->() const noexcept { return object_; }
    T& operator*() const noexcept { return *object_; }

  private:
    T* object_ = nullptr;
};

// `n` objects in a row, one for each worker or the like.
template <class T>
class OwnerOfMany {
  public:
    explicit OwnerOfMany(index n) : objects_(new T[static_cast<std::size_t>(n)]) {}
    OwnerOfMany(const OwnerOfMany&) = delete;
    OwnerOfMany& operator=(const OwnerOfMany&) = delete;
    ~OwnerOfMany() { delete[] objects_; }

    T& operator[](index i) const noexcept { return objects_[i]; }

  private:
    T* objects_;
};

SCOREMATCH_END_LEVEL
